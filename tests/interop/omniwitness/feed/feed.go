// Feed sends one checkpoint to a witness with the client of transparency-dev/witness, and prints
// what the witness answers: the cosignatures, or after "stale" the size that it has seen.
//
//	feed URL OLD-SIZE CHECKPOINT-FILE [PROOF-HASH...]
//
// Hashes are in base64.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"

	client "github.com/transparency-dev/witness/client/http"
	"github.com/transparency-dev/witness/witness"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: feed URL OLD-SIZE CHECKPOINT-FILE [PROOF-HASH...]")
	}
	address, err := url.Parse(os.Args[1])
	check(err)
	oldSize, err := strconv.ParseUint(os.Args[2], 10, 64)
	check(err)
	checkpoint, err := os.ReadFile(os.Args[3])
	check(err)
	var proof [][]byte
	for _, text := range os.Args[4:] {
		hash, err := base64.StdEncoding.DecodeString(text)
		check(err)
		proof = append(proof, hash)
	}
	cosignatures, size, err := client.NewWitness(address, http.DefaultClient).Update(context.Background(), oldSize, checkpoint, proof)
	if errors.Is(err, witness.ErrCheckpointStale) {
		fmt.Println("stale", size)
		return
	}
	check(err)
	fmt.Print(string(cosignatures))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
