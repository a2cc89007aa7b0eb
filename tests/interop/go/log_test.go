package interop

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// An exportedLog is a log in a folder, in the layout of c2sp.org/tlog-tiles.
type exportedLog struct {
	folder   string
	note     []byte             // the checkpoint as it stands in the file
	head     formats.Checkpoint // what it says
	key      string             // the log's, as a trust file has it
	verifier note.Verifier      // of that key
	files    client.FileFetcher // reads the folder
	entries  [][]byte           // as they stand in the entry bundles
}

// openLog opens the checkpoint with the key in a trust file, and reads all entries.
func openLog(folder, trust string) (*exportedLog, error) {
	trusted, err := os.ReadFile(trust)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(trusted), "\noperator ")
	key, _, _ := strings.Cut(rest, "\n")
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, fmt.Errorf("the operator's key of the trust file: %w", err)
	}
	l := &exportedLog{folder: folder, key: key, verifier: verifier, files: client.FileFetcher{Root: folder}}
	if l.note, err = os.ReadFile(filepath.Join(folder, "checkpoint")); err != nil {
		return nil, err
	}
	head, unknown, _, err := formats.ParseCheckpoint(l.note, origin, verifier)
	if err != nil {
		return nil, err
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("the checkpoint has more lines than three: %q", unknown)
	}
	l.head = *head
	for bundle := range (head.Size + 255) / 256 {
		read, err := client.GetEntryBundle(context.Background(), l.files.ReadEntryBundle, bundle, head.Size)
		if err != nil {
			return nil, err
		}
		l.entries = append(l.entries, read.Entries...)
	}
	if uint64(len(l.entries)) != head.Size {
		return nil, fmt.Errorf("%d entries in the bundles, %d in the checkpoint", len(l.entries), head.Size)
	}
	return l, nil
}

func (l *exportedLog) root() tlog.Hash { return tlog.Hash(l.head.Hash) }

// hashes reads every hash of the tree through tlog, which checks each tile against the root.
func (l *exportedLog) hashes() (tlog.HashReader, error) {
	size := int64(l.head.Size)
	wanted := make([]int64, tlog.StoredHashCount(size))
	for at := range wanted {
		wanted[at] = int64(at)
	}
	stored, err := tlog.TileHashReader(tlog.Tree{N: size, Hash: l.root()}, tiles{l.folder}).ReadHashes(wanted)
	if err != nil {
		return nil, err
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for at, index := range indexes {
			hashes[at] = stored[index]
		}
		return hashes, nil
	}), nil
}

// tiles reads tiles for tlog, which calls a tile of height 8 "tile/8/0/000" where tlog-tiles calls it
// "tile/0/000".
type tiles struct{ folder string }

func (tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(t.folder, path))
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func eachLog(t *testing.T, check func(*testing.T, *exportedLog)) {
	for _, l := range logs {
		t.Run(fmt.Sprint(l.head.Size), func(t *testing.T) { check(t, l) })
	}
}

func TestTheLogsAreOfTheSizesAskedFor(t *testing.T) {
	for at, size := range sizes {
		if got := logs[at].head.Size; got != size {
			t.Errorf("size %d, want %d", got, size)
		}
	}
	if whole := logs[len(sizes)].head.Size; whole <= sizes[len(sizes)-1] {
		t.Errorf("the whole log has only %d entries", whole)
	}
}

func TestNoteOpensTheCheckpointAndNoOther(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		known := note.VerifierList(l.verifier)
		opened, err := note.Open(l.note, known)
		fatal(t, err)
		if want := string(l.head.Marshal()); opened.Text != want || len(opened.UnverifiedSigs) != 0 {
			t.Errorf("text %q, want %q; unverified %v", opened.Text, want, opened.UnverifiedSigs)
		}
		changed := bytes.Replace(l.note, []byte("\n"+fmt.Sprint(l.head.Size)+"\n"), []byte("\n9\n"), 1)
		if _, err := note.Open(changed, known); err == nil {
			t.Error("a checkpoint of another size opens too")
		}
	})
}

func TestTlogFindsTheHashOfEachEntryInTheTiles(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		hashes, err := l.hashes()
		fatal(t, err)
		for index, entry := range l.entries {
			found, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
			if err != nil {
				t.Fatal(err)
			}
			if found[0] != tlog.RecordHash(entry) {
				t.Fatalf("entry %d does not have the hash that its tile holds", index)
			}
		}
	})
}

func TestTlogProvesEachEntry(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		hashes, err := l.hashes()
		fatal(t, err)
		size := int64(l.head.Size)
		for index, entry := range l.entries {
			path, err := tlog.ProveRecord(size, int64(index), hashes)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(path, size, l.root(), int64(index), tlog.RecordHash(entry)); err != nil {
				t.Fatalf("entry %d: %v", index, err)
			}
		}
	})
}

func TestTlogProvesThatEachLogExtendsTheSmallerOnes(t *testing.T) {
	for at, larger := range logs {
		hashes, err := larger.hashes()
		fatal(t, err)
		for _, smaller := range logs[:at+1] {
			size, old := int64(larger.head.Size), int64(smaller.head.Size)
			path, err := tlog.ProveTree(size, old, hashes)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(path, size, larger.root(), old, smaller.root()); err != nil {
				t.Errorf("%d to %d: %v", old, size, err)
			}
		}
	}
}

func TestMerkleComesToTheSameRoot(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
		tree := factory.NewEmptyRange(0)
		for _, entry := range l.entries {
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(entry), nil); err != nil {
				t.Fatal(err)
			}
		}
		root, err := tree.GetRootHash(nil)
		fatal(t, err)
		if !bytes.Equal(root, l.head.Hash) {
			t.Errorf("root %x, the checkpoint has %x", root, l.head.Hash)
		}
	})
}

func TestTesseraProvesEntriesAndMerkleVerifiesThem(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		builder, err := client.NewProofBuilder(t.Context(), l.head.Size, l.files.ReadTile)
		fatal(t, err)
		// Every entry of a small log; of a large one some in every tile.
		step := uint64(1)
		if l.head.Size > 1000 {
			step = 97
		}
		for index := uint64(0); index < l.head.Size; index += step {
			path, err := builder.InclusionProof(t.Context(), index)
			if err != nil {
				t.Fatal(err)
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(l.entries[index])
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, l.head.Size, leaf, path, l.head.Hash); err != nil {
				t.Fatalf("entry %d: %v", index, err)
			}
		}
	})
}

func TestTesseraFollowsTheLogFromSizeToSize(t *testing.T) {
	for at, next := range logs[1:] {
		from := logs[at]
		tracker, err := client.NewLogStateTracker(t.Context(), next.files.ReadTile, from.note, next.verifier, origin,
			client.UnilateralConsensus(next.files.ReadCheckpoint))
		fatal(t, err)
		if _, _, _, err := tracker.Update(t.Context()); err != nil {
			t.Errorf("from %d to %d: %v", from.head.Size, next.head.Size, err)
		}
		if got := tracker.Latest().Size; got != next.head.Size {
			t.Errorf("followed to %d, not to %d", got, next.head.Size)
		}
	}
}

func TestTesseraFsckFindsNothingWrong(t *testing.T) {
	eachLog(t, func(t *testing.T, l *exportedLog) {
		if err := check(t, l.folder); err != nil {
			t.Error(err)
		}
	})
}

// Without this one the tests above could pass by not looking.
func TestTesseraFsckFindsOneWrongBitInAnyFile(t *testing.T) {
	source := logs[6] // of 257 entries: full and partial tiles on two levels
	var files []string
	err := filepath.WalkDir(source.folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "giftproof.trust" {
			files = append(files, strings.TrimPrefix(path, source.folder))
		}
		return err
	})
	fatal(t, err)
	if len(files) != 6 {
		t.Fatalf("the log of 257 entries has a checkpoint, three tiles and two bundles, and not %v", files)
	}
	for _, file := range files {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(source.folder)); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(copied, file))
		fatal(t, err)
		content[len(content)/2] ^= 1
		if err := os.WriteFile(filepath.Join(copied, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := check(t, copied); err == nil {
			t.Errorf("%s: a wrong bit is not seen", file)
		}
	}
}

func check(t *testing.T, folder string) error {
	hashes := func(bundle []byte) ([][]byte, error) {
		var parsed api.EntryBundle
		if err := parsed.UnmarshalText(bundle); err != nil {
			return nil, err
		}
		var leaves [][]byte
		for _, entry := range parsed.Entries {
			leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(entry))
		}
		return leaves, nil
	}
	files := &client.FileFetcher{Root: folder}
	return fsck.New(origin, logs[0].verifier, files, hashes, fsck.Opts{N: 2}).Check(t.Context())
}
