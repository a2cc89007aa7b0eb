package interop

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

// startGiftproof starts giftproof's witness, which knows the logs of these keys.
func startGiftproof(t *testing.T, logs ...string) witness {
	t.Helper()
	list := filepath.Join(t.TempDir(), "logs")
	fatal(t, os.WriteFile(list, []byte("log "+strings.Join(logs, "\nlog ")+"\n"), 0o600))
	return serve(t, "--logs", list)
}

// serve starts a new witness of giftproof's.
func serve(t *testing.T, arguments ...string) witness {
	t.Helper()
	var told struct{ Vkey, URL string }
	tells := func(said string) bool { return json.Unmarshal([]byte(said), &told) == nil && told.URL != "" }
	arguments = append(arguments, "--name", "witness.example/giftproof", "--listen", "127.0.0.1:0", "--unencrypted", "--json")
	start(t, tells, giftproof, append([]string{"witness", "serve", filepath.Join(t.TempDir(), "witness")}, arguments...)...)
	return witness{url: told.URL, key: told.Vkey}
}

func TestGiftproofFollowsTheLogForOthersClient(t *testing.T) {
	w := startGiftproof(t, logs[0].key)
	followsTheLog(t, w)
	shown, err := http.Get(fmt.Sprintf("%s/%x/checkpoint", w.url, sha256.Sum256([]byte(origin))))
	fatal(t, err)
	defer shown.Body.Close()
	text, err := io.ReadAll(shown.Body)
	fatal(t, err)
	cosigned(t, text, logs[0].verifier, w)
}

func TestGiftproofBeginsWhereItsTrustFileDoes(t *testing.T) {
	w := serve(t, "--trust", large.trust())
	said, err := w.feed(t, logs[6], 0)
	if err != nil || said != "stale 1\n" {
		t.Errorf("%q, %v", said, err)
	}
}

// A log of tessera's publishes no checkpoint before its witnesses have cosigned it.
func TestGiftproofCosignsALogOfTesseras(t *testing.T) {
	const name = "tessera.example/log"
	secret, public, err := note.GenerateKey(rand.Reader, name)
	fatal(t, err)
	verifier, err := note.NewVerifier(public)
	fatal(t, err)
	w := startGiftproof(t, public)
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	fatal(t, os.WriteFile(file("key"), []byte(secret), 0o600))
	fatal(t, os.WriteFile(file("policy"), fmt.Appendf(nil, "witness w %s %s\nquorum w\n", w.key, w.url), 0o600))
	fatal(t, os.Mkdir(file("entries"), 0o700))
	total := 0
	for _, more := range []int{1, 2, 300} {
		fatal(t, os.RemoveAll(file("entries")))
		fatal(t, os.Mkdir(file("entries"), 0o700))
		for range more {
			total++
			fatal(t, os.WriteFile(file(fmt.Sprint("entries/", total)), fmt.Append(nil, total), 0o600))
		}
		// The tool is of this module: go.mod has its version.
		said, err := exec.Command("go", "tool", "posix-oneshot", "--storage_dir", file("log"), "--private_key", file("key"),
			"--entries", file("entries/*"), "--witness_policy_file", file("policy")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		text, err := os.ReadFile(file("log/checkpoint"))
		fatal(t, err)
		cosigned(t, text, verifier, w)
		head, _, _, err := formats.ParseCheckpoint(text, name, verifier)
		fatal(t, err)
		if head.Size != uint64(total) {
			t.Errorf("size %d, want %d", head.Size, total)
		}
	}
}
