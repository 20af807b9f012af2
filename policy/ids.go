package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/accounts"
)

// accountNames are what a file's names of users and groups mean here. The tables are read for
// the first name.
type accountNames struct {
	users, groups func() (*accounts.Table, error)

	meant []string // what became of each
}

func newDecoder(r *reporter) decoder {
	return decoder{r, &accountNames{users: sync.OnceValues(accounts.Users), groups: sync.OnceValues(accounts.Groups)}}
}

// ids reads a list of numbers, ranges and names, and writes it with the names' numbers.
func (d decoder) ids(items []*node, k key) (spans, string) {
	var all spans
	var words []string
	for _, item := range items {
		s, ok := d.id(item, k)
		if ok {
			all = append(all, s)
		}
		word := item.text
		if isAccount(item) {
			word += " (" + strconv.FormatInt(s.low, 10) + ")"
		}
		words = append(words, word)
		if d.full() {
			break
		}
	}
	return merge(all), strings.Join(words, ", ")
}

// id reads N, LOW..HIGH, or a name.
func (d decoder) id(n *node, k key) (span, bool) {
	if !isAccount(n) {
		return d.span(n, plain(k.String(), 0, maxID))
	}
	what, read := "user", d.users
	if k == keyCallerGID {
		what, read = "group", d.groups
	}
	table, err := read()
	if err != nil {
		d.fail(n.at, "%v: %s is no number, and names cannot be looked up: %v: give the number", k, n.quoted(), err)
		return span{}, false
	}
	number, ok := table.Number(n.text)
	if !ok {
		if !d.full() {
			d.fail(n.at, "%v: %s is not known: %s", k, n.quoted(), nearestOr(n.text, table.Names(),
				fmt.Sprintf("%s has no such %s: give one that it has, or a number", table.File, what)))
		}
		return span{}, false
	}
	if meant := fmt.Sprintf("%s %s is %d", what, n.text, number); !slices.Contains(d.meant, meant) {
		d.meant = append(d.meant, meant)
	}
	return span{int64(number), int64(number)}, true
}

// isAccount tells a name from a number and a range of them. Names that begin with a digit have
// to be given by their number.
func isAccount(n *node) bool {
	if n.kind != text || n.text == "" || strings.Contains(n.text, "..") {
		return false
	}
	c := n.text[0]
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// oneID reads a single number or name.
func (d decoder) oneID(n *node, k key) uint32 {
	s, _ := d.id(n, k)
	return uint32(d.alone(n, k.String(), s))
}

// Accounts says, in words, what the names of users and groups in the file meant when it was read.
func (p *Policy) Accounts() []string { return p.accounts }
