// Package interop holds giftproof against transparency-log software that others wrote: what
// giftproof exports, proves and cosigns is opened and checked here by their code, and never by
// giftproof's own.
//
// The tests start the program that the variable GIFTPROOF names.
package interop

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	origin     = "interop.example/log"
	deliveries = "../../../fixtures/scms-deliveries/"
)

// Around the first full tile, and the first full tile of the level above; the whole log is a little
// larger. The sizes in between have tiles of uneven width on every level.
var sizes = []uint64{1, 2, 3, 7, 255, 256, 257, 511, 1000, 65535, 65536, 65537}

var registrars = []string{"registrar-a", "registrar-b", "registrar-c"}

var (
	giftproof string         // the program
	temp      string         // a folder for the whole run
	large     ledger         // of all that the tests only read
	logs      []*exportedLog // its log by size, the whole one last
)

func TestMain(m *testing.M) {
	log.SetFlags(0)
	status, err := prepareAndRun(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

func prepareAndRun(m *testing.M) (status int, err error) {
	named := os.Getenv("GIFTPROOF")
	if named == "" {
		return 0, fmt.Errorf("GIFTPROOF does not name the giftproof program")
	}
	if giftproof, err = filepath.Abs(named); err != nil {
		return 0, err
	}
	if temp, err = os.MkdirTemp("", "giftproof-interop-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(temp)
	if err = makeLogs(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// A ledger is a folder with a ledger, its operator's key and its trust file.
type ledger struct{ folder string }

func (l ledger) trust() string { return filepath.Join(l.folder, "trust") }

// run runs a command on the ledger and returns what it says on standard output.
func (l ledger) run(arguments ...string) (string, error) {
	return run(append(arguments, "--ledger", filepath.Join(l.folder, "ledger"),
		"--operator-key", filepath.Join(l.folder, "operator.key"))...)
}

// newLedger makes an empty ledger; all of them bear the same name, and have the same registrars.
func newLedger(folder string) (ledger, error) {
	l := ledger{folder}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return l, err
	}
	if _, err := run("key", "new", filepath.Join(folder, "operator.key"), "--unencrypted"); err != nil {
		return l, err
	}
	arguments := []string{"init", "--trust", l.trust(), "--origin", origin, "--operator", "Office", "--threshold", "2"}
	for _, name := range registrars {
		arguments = append(arguments, "--registrar", name+":"+name+":"+name+".pub", "--registrar-key", name+".key")
	}
	_, err := l.run(arguments...)
	return l, err
}

// record imports a list of deliveries.
func (l ledger) record(list string) error {
	columns, err := filepath.Abs(deliveries + "deliveries.toml")
	if err != nil {
		return err
	}
	_, err = l.run("import", list, "--map", columns, "--keys", "keys", "--unencrypted",
		"--registrar-key", registrars[0]+".key", "--registrar-key", registrars[1]+".key")
	return err
}

// export exports the log, or its first entries, into a folder, and opens it.
func (l ledger) export(folder string, more ...string) (*exportedLog, error) {
	bundle := folder + ".zip"
	if _, err := l.run(append([]string{"export", bundle}, more...)...); err != nil {
		return nil, err
	}
	defer os.Remove(bundle)
	if err := unpack(bundle, folder); err != nil {
		return nil, err
	}
	return openLog(folder, l.trust())
}

// makeLogs makes a ledger of somewhat more than 65,536 entries out of published deliveries, the
// whole list, and a part of it once more as if it were of other purchases; and exports its log as
// it was at each of the sizes, and as it is.
func makeLogs() error {
	for _, name := range registrars {
		if _, err := run("key", "new", name+".key", "--unencrypted"); err != nil {
			return err
		}
	}
	var err error
	if large, err = newLedger(filepath.Join(temp, "large")); err != nil {
		return err
	}
	list := filepath.Join(temp, "list.csv")
	if err := copies(list, 0, 22_100); err != nil {
		return err
	}
	if err := large.record(list); err != nil {
		return err
	}
	for _, size := range sizes {
		exported, err := large.export(filepath.Join(temp, fmt.Sprint("log-", size)), "--until", fmt.Sprint(size))
		if err != nil {
			return err
		}
		logs = append(logs, exported)
	}
	whole, err := large.export(filepath.Join(temp, "log"))
	logs = append(logs, whole)
	return err
}

// copies writes a list with the deliveries from one number up to another of an endless list, which
// is the published one again and again, under other names in each round.
func copies(to string, first, end int) error {
	text, err := os.ReadFile(deliveries + "deliveries.csv")
	if err != nil {
		return err
	}
	table, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	header, table := table[0], table[1:]
	out := new(bytes.Buffer)
	writer := csv.NewWriter(out)
	writer.Write(header)
	for at := first; at < end; at++ {
		row := slices.Clone(table[at%len(table)])
		for _, name := range []string{"id", "po", "asn_dn"} {
			row[slices.Index(header, name)] += fmt.Sprintf("-%d", at/len(table))
		}
		writer.Write(row)
	}
	writer.Flush()
	return os.WriteFile(to, out.Bytes(), 0o600)
}

// run runs giftproof in the temporary folder and returns what it says on standard output.
func run(arguments ...string) (string, error) {
	command := exec.Command(giftproof, arguments...)
	command.Dir = temp
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	said := new(bytes.Buffer)
	command.Stderr = said
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("giftproof %s: %w\n%s%s", strings.Join(arguments, " "), err, output, said)
	}
	return string(output), nil
}

func unpack(bundle, folder string) error {
	archive, err := zip.OpenReader(bundle)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, file := range archive.File {
		reader, err := file.Open()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return err
		}
		path := filepath.Join(folder, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
