package interop

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
)

// A witness is a running process that cosigns checkpoints.
type witness struct {
	url string
	key string // the verifier key, of type 04
}

// startOmniwitness starts the witness of transparency-dev/witness, which knows giftproof's log by
// this key and keeps its state in SQLite.
func startOmniwitness(t *testing.T, logKey string) witness {
	t.Helper()
	folder := t.TempDir()
	secret, public, err := note.GenerateKey(rand.Reader, "witness.example/omniwitness")
	fatal(t, err)
	key, err := cosignature.VKeyToCosignatureV1(public)
	fatal(t, err)
	keyFile, logFile := filepath.Join(folder, "key"), filepath.Join(folder, "logs.yaml")
	fatal(t, os.WriteFile(keyFile, []byte(secret), 0o600))
	known := fmt.Sprintf("Logs:\n  - Origin: %s\n    PublicKey: %s\n    URL: http://%s/\n", origin, logKey, origin)
	fatal(t, os.WriteFile(logFile, []byte(known), 0o600))
	address := freeAddress(t)
	listens := func(string) bool {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
		}
		return err == nil
	}
	start(t, listens, tool(t, "OMNIWITNESS"), "--listen", address, "--metrics_listen", "", "--private_key_path", keyFile,
		"--additional_logs", logFile, "--db_file", filepath.Join(folder, "state.db"))
	return witness{url: "http://" + address, key: key}
}

// start runs a server until the test ends, and waits until it is ready by what it said on standard
// output.
func start(t *testing.T, ready func(said string) bool, program string, arguments ...string) {
	t.Helper()
	folder := t.TempDir()
	stdout, err := os.Create(filepath.Join(folder, "stdout"))
	fatal(t, err)
	stderr, err := os.Create(filepath.Join(folder, "stderr"))
	fatal(t, err)
	said := func(file *os.File) string {
		text, err := os.ReadFile(file.Name())
		fatal(t, err)
		return string(text)
	}
	command := exec.Command(program, arguments...)
	command.Dir = temp
	command.Stdout, command.Stderr = stdout, stderr
	fatal(t, command.Start())
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		command.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s%s", filepath.Base(program), said(stdout), said(stderr))
		}
		stdout.Close()
		stderr.Close()
	})
	for range 600 {
		if ready(said(stdout)) {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended before it was ready: %v", program, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not get ready", program)
}

// freeAddress is an address on the loopback interface where nobody listened a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// tool is the program that a variable names; that it does is the script's duty.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s does not name a program", variable)
	}
	return path
}

// feed asks the witness for a cosignature with the client of transparency-dev/witness, as if it had
// last seen the log at size old. The proof comes from tessera, out of the log's tiles.
func (w witness) feed(t *testing.T, l *exportedLog, old uint64) (string, error) {
	t.Helper()
	arguments := []string{w.url, fmt.Sprint(old), filepath.Join(l.folder, "checkpoint")}
	if 0 < old && old < l.head.Size {
		builder, err := client.NewProofBuilder(t.Context(), l.head.Size, l.files.ReadTile)
		fatal(t, err)
		path, err := builder.ConsistencyProof(t.Context(), old, l.head.Size)
		fatal(t, err)
		for _, hash := range path {
			arguments = append(arguments, base64.StdEncoding.EncodeToString(hash))
		}
	}
	output, err := exec.Command(tool(t, "FEED"), arguments...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return "", errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	return string(output), err
}

// cosigned checks that the note has a signature of the log's key and a new one of each witness.
func cosigned(t *testing.T, text []byte, log note.Verifier, witnesses ...witness) {
	t.Helper()
	known := []note.Verifier{log}
	for _, w := range witnesses {
		verifier, err := cosignature.NewVerifierForCosignatureV1(w.key)
		fatal(t, err)
		known = append(known, verifier)
	}
	opened, err := note.Open(text, note.VerifierList(known...))
	fatal(t, err)
	if len(opened.Sigs) != len(known) {
		t.Fatalf("%d verified signatures, want %d, on:\n%s", len(opened.Sigs), len(known), text)
	}
	for _, signature := range opened.Sigs {
		if signature.Hash == log.KeyHash() {
			continue
		}
		at, err := cosignature.CoSigV1Timestamp(signature)
		fatal(t, err)
		if age := time.Since(at); age < -time.Minute || age > 10*time.Minute {
			t.Errorf("%s cosigned at %v", signature.Name, at)
		}
	}
}

// followsTheLog makes a witness follow giftproof's log through three sizes, and try other things.
func followsTheLog(t *testing.T, w witness) {
	small, middle, whole := logs[0], logs[6], logs[len(logs)-1]
	accepts := func(l *exportedLog, old uint64) {
		t.Helper()
		lines, err := w.feed(t, l, old)
		fatal(t, err)
		cosigned(t, append(append([]byte{}, l.note...), lines...), l.verifier, w)
	}
	accepts(small, 0)
	accepts(middle, small.head.Size)
	if said, err := w.feed(t, whole, 0); err != nil || said != fmt.Sprintln("stale", middle.head.Size) {
		t.Errorf("from an old size: %q, %v", said, err)
	}
	if said, err := w.feed(t, small, middle.head.Size); err == nil {
		t.Errorf("back to a smaller size: %q", said)
	}
	accepts(middle, middle.head.Size)
	accepts(whole, middle.head.Size)
}

func TestOmniwitnessFollowsTheLog(t *testing.T) {
	followsTheLog(t, startOmniwitness(t, logs[0].key))
}
