// Package accounts knows users and groups by the files that hold them. It never asks libc, as
// os/user does where there is cgo: who imports the library gets no C. So it knows none that
// only a directory service has.
package accounts

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Table is one file's names and numbers. Of several lines with one name, or with one number,
// the first counts, as for getpwnam(3).
type Table struct {
	File    string
	numbers map[string]uint32
	names   map[uint32]string
}

// Users are those of passwd(5).
func Users() (*Table, error) { return readTable("/etc/passwd") }

// Groups are those of group(5).
func Groups() (*Table, error) { return readTable("/etc/group") }

// readTable takes a file whose lines are NAME:PASSWORD:NUMBER:...
func readTable(path string) (*Table, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &Table{path, map[string]uint32{}, map[uint32]string{}}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(line, ":", 4)
		if len(fields) < 4 || fields[0] == "" || strings.ContainsAny(fields[0][:1], "#+-") { // comments, and NIS
			continue
		}
		n, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil || n == 1<<32-1 { // (uid_t)-1, which nobody has
			continue
		}
		if _, again := t.numbers[fields[0]]; !again {
			t.numbers[fields[0]] = uint32(n)
		}
		if _, again := t.names[uint32(n)]; !again {
			t.names[uint32(n)] = fields[0]
		}
	}
	return t, nil
}

// Number is a name's.
func (t *Table) Number(name string) (uint32, bool) {
	n, ok := t.numbers[name]
	return n, ok
}

// Name is a number's, or "".
func (t *Table) Name(number uint32) string { return t.names[number] }

// Names are all, sorted.
func (t *Table) Names() []string { return slices.Sorted(maps.Keys(t.numbers)) }
