package interop

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
)

var proven = []uint64{0, 1, 2, 6, 255, 256, 1000, 65535, 65536}

func TestFormatsReadsTheProofsOfEntries(t *testing.T) {
	for _, l := range []*exportedLog{logs[0], logs[3], logs[6], logs[11], logs[len(logs)-1]} {
		for _, index := range append(slices.Clone(proven), l.head.Size-1) {
			if index < l.head.Size {
				checkProof(t, l, index, "--ledger", l.folder)
			}
		}
	}
}

func TestFormatsReadsTheProofOfAnEntryUnderAnEarlierCheckpoint(t *testing.T) {
	for _, l := range []*exportedLog{logs[6], logs[11]} {
		checkProof(t, l, 255, "--ledger", filepath.Join(large.folder, "ledger"), "--checkpoint", filepath.Join(l.folder, "checkpoint"))
	}
}

// checkProof proves an entry with giftproof, from where the arguments say, and reads the file as
// formats does, which knows c2sp.org/tlog-proof.
func checkProof(t *testing.T, l *exportedLog, index uint64, where ...string) {
	t.Helper()
	folder := t.TempDir()
	file, entryFile := filepath.Join(folder, "tlog-proof"), filepath.Join(folder, "entry")
	_, err := run(append([]string{"prove", fmt.Sprint(index), "--out", file, "--entry", entryFile}, where...)...)
	fatal(t, err)
	text, err := os.ReadFile(file)
	fatal(t, err)
	entry, err := os.ReadFile(entryFile)
	fatal(t, err)
	if !bytes.Equal(entry, l.entries[index]) {
		t.Error("the entry beside the proof is not that of the entry bundle")
	}
	var read tlogproof.TLogProof
	fatal(t, read.Unmarshal(text))
	if again := read.Marshal(); !bytes.Equal(again, text) {
		t.Errorf("formats would have written\n%s\ninstead of\n%s", again, text)
	}
	if read.Index != index {
		t.Errorf("the proof is of entry %d, not of %d", read.Index, index)
	}
	head, _, _, err := formats.ParseCheckpoint(read.Checkpoint, origin, l.verifier)
	fatal(t, err)
	if head.Size != l.head.Size {
		t.Errorf("the proof is for size %d, not for %d", head.Size, l.head.Size)
	}
	var path [][]byte
	for _, hash := range read.Hashes {
		path = append(path, hash[:])
	}
	verify := func(entry []byte) error {
		leaf := rfc6962.DefaultHasher.HashLeaf(entry)
		return proof.VerifyInclusion(rfc6962.DefaultHasher, read.Index, head.Size, leaf, path, head.Hash)
	}
	fatal(t, verify(entry))
	if verify(append(entry, 0)) == nil {
		t.Error("the proof holds for other bytes too")
	}
}

// The other way round: tessera finds the path, formats writes the file, giftproof verifies it.
func TestGiftproofVerifiesProofsOfOthers(t *testing.T) {
	for _, l := range []*exportedLog{logs[0], logs[6], logs[len(logs)-1]} {
		builder, err := client.NewProofBuilder(t.Context(), l.head.Size, l.files.ReadTile)
		fatal(t, err)
		for _, index := range append(slices.Clone(proven), l.head.Size-1) {
			if index >= l.head.Size {
				continue
			}
			made := tlogproof.TLogProof{Index: index, Checkpoint: l.note}
			path, err := builder.InclusionProof(t.Context(), index)
			fatal(t, err)
			for _, hash := range path {
				made.Hashes = append(made.Hashes, [32]byte(hash))
			}
			file, entry := filepath.Join(t.TempDir(), "tlog-proof"), filepath.Join(t.TempDir(), "entry")
			fatal(t, os.WriteFile(file, made.Marshal(), 0o600))
			fatal(t, os.WriteFile(entry, l.entries[index], 0o600))
			verify := []string{"verify", file, "--entry", entry, "--trust", large.trust()}
			if _, err := run(verify...); err != nil {
				t.Errorf("entry %d of %d: %v", index, l.head.Size, err)
			}
			fatal(t, os.WriteFile(entry, append(l.entries[index], 0), 0o600))
			if said, err := run(verify...); err == nil {
				t.Errorf("entry %d of %d: other bytes are verified too: %s", index, l.head.Size, said)
			}
		}
	}
}
