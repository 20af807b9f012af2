package accounts

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwd")
	text := "root:x:0:0:root:/root:/bin/sh\n# x:x:5:5:::\n+nis:x:6:6:::\ntoor:x:0:0:::\nroot:x:9:9:::\n" +
		"www-data:x:33:33:::\nshort:x:7\nminus:x:-1:0:::\nhuge:x:4294967295:0:::\nlast:x:4294967294:"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := readTable(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := table.Names(), []string{"last", "root", "toor", "www-data"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	for name, want := range map[string]uint32{"root": 0, "toor": 0, "www-data": 33, "last": 4294967294} {
		if got, ok := table.Number(name); got != want || !ok {
			t.Errorf("%s is %d (%v), want %d", name, got, ok, want)
		}
	}
	if got := table.Name(0) + " " + table.Name(33) + table.Name(5); got != "root www-data" {
		t.Errorf("numbers are called %q", got)
	}
	if _, err := readTable(file + "x"); err == nil {
		t.Error("no error of a file that is not there")
	}
}
