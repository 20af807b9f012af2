package policy

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/accounts"
)

const byName = `version: 1
rules:
  - name: roots
    action: deny
    match:
      caller: {uid: [root, 7..9, "5"], gid: [root]}
      target: {uid: [root]}
`

// Names are told with their numbers, each once.
func TestAccounts(t *testing.T) {
	p, err := Parse("p.yaml", []byte(byName))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"user root is 0", "group root is 0"}; !slices.Equal(p.Accounts(), want) {
		t.Errorf("%q, want %q", p.Accounts(), want)
	}
	q := QueryOf(arch.PidfdSendSignal, arch.AMD64, arch.Args{3, 15})
	_, steps := p.Explain(&q, unsure{}, Show)
	if got, want := steps[0].Keys[0].Wanted, "root (0), 7..9, 5"; got != want {
		t.Errorf("wanted %q, want %q", got, want)
	}
}

// A machine without the files has no names, and says so at each.
func TestNoAccounts(t *testing.T) {
	r := &reporter{file: "p.yaml"}
	none := func() (*accounts.Table, error) {
		return nil, &fs.PathError{Op: "open", Path: "/etc/passwd", Err: errors.New("none")}
	}
	decoder{r, &accountNames{users: none, groups: none}}.policy(parseYAML(r, []byte(byName)))
	if len(r.list) != 3 || !strings.HasPrefix(r.list[0].Error(), "p.yaml:6:22: caller.uid: \"root\" is no number, and names cannot be looked up: open /etc/passwd: none") {
		t.Errorf("%v", r.list.Unwrap())
	}
}
