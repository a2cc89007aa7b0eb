package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	policy "github.com/transparency-dev/formats/witness"
)

// A smallLedger is one for one test, which fails where a command does.
type smallLedger struct {
	ledger
	t *testing.T
}

func startSmall(t *testing.T) smallLedger {
	t.Helper()
	made, err := newLedger(filepath.Join(t.TempDir(), "small"))
	fatal(t, err)
	return smallLedger{made, t}
}

func (l smallLedger) do(arguments ...string) string {
	l.t.Helper()
	said, err := l.run(arguments...)
	fatal(l.t, err)
	return said
}

func (l smallLedger) records(first, end int) {
	l.t.Helper()
	list := filepath.Join(l.t.TempDir(), "list.csv")
	fatal(l.t, copies(list, first, end))
	fatal(l.t, l.record(list))
}

func (l smallLedger) exports() *exportedLog {
	l.t.Helper()
	exported, err := l.export(filepath.Join(l.t.TempDir(), "log"))
	fatal(l.t, err)
	return exported
}

// The witness of others cosigns what the ledger's own side shows it: on the first day, after the
// log has grown, and when the ledger has forgotten what the witness knows.
func TestOmniwitnessCosignsForGiftproof(t *testing.T) {
	l := startSmall(t)
	w := startOmniwitness(t, l.exports().key)
	l.do("witness", "add", "omni", w.key, w.url)
	l.do("witness", "quorum", "all")
	l.do("witness", "ask")
	first := l.exports()
	cosigned(t, first.note, first.verifier, w)

	l.records(0, 40)
	l.do("witness", "ask")
	grown := l.exports()
	if grown.head.Size <= first.head.Size {
		t.Fatalf("%d entries are not more than %d", grown.head.Size, first.head.Size)
	}
	cosigned(t, grown.note, grown.verifier, w)

	l.do("witness", "quorum", "none")
	l.do("witness", "remove", "omni")
	l.records(40, 120)
	l.do("witness", "add", "again", w.key, w.url)
	l.do("witness", "quorum", "all")
	l.do("witness", "ask")
	last := l.exports()
	cosigned(t, last.note, last.verifier, w)

	quorum, err := policy.ParsePolicy([]byte(l.do("witness", "policy")))
	fatal(t, err)
	if !quorum.Satisfied(last.note) || quorum.Satisfied(logs[0].note) {
		t.Error("formats does not read the policy as giftproof does")
	}
}

// What was put back from an older copy must not sign again: the witness of others knows better.
func TestOmniwitnessStopsARestoredLedger(t *testing.T) {
	l := startSmall(t)
	w := startOmniwitness(t, l.exports().key)
	l.do("witness", "add", "omni", w.key, w.url)
	l.do("witness", "quorum", "all")
	older := smallLedger{ledger{filepath.Join(t.TempDir(), "older")}, t}
	fatal(t, os.CopyFS(older.folder, os.DirFS(l.folder)))
	l.records(0, 40)
	l.do("witness", "ask")

	list := filepath.Join(t.TempDir(), "list.csv")
	fatal(t, copies(list, 100, 110))
	_, asks := older.run("witness", "ask")
	records := older.record(list)
	for what, err := range map[string]error{"asks": asks, "records": records} {
		if err == nil || !strings.Contains(err.Error(), "ledger/behind-witness") {
			t.Errorf("the older copy %s as if nothing had happened: %v", what, err)
		}
	}
	if size := older.exports().head.Size; size != 1 {
		t.Errorf("the older copy has signed for %d entries", size)
	}
}
