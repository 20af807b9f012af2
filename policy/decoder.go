package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/internal/suggest"
)

// quoted is how an error shows a value.
func (n *node) quoted() string {
	switch n.kind {
	case integer:
		return fmt.Sprintf("%.60s", n.text)
	case text, otherScalar:
		return fmt.Sprintf("%.60q", n.text)
	case null:
		if n.text != "" {
			return n.text + " (which means nothing to YAML, unless in quotes)"
		}
	}
	return n.kind.String()
}

// object reads a map whose keys must be among known. Its second result is false if n
// is no map; unknown and repeated keys are reported and left out.
func (d decoder) object(n *node, what string, known []string) (map[string]*node, bool) {
	if n.kind != mapping {
		d.fail(n.at, "%s is no map: %s is written as keys and values: %s", n.quoted(), what, strings.Join(known, ", "))
		return nil, false
	}
	values := map[string]*node{}
	first := map[string]position{}
	for _, e := range n.entries {
		name := e.key.text
		switch at, again := first[name]; {
		case e.key.kind != text || !slices.Contains(known, name):
			d.fail(e.key.at, "unknown key %s in %s: %s", e.key.quoted(), what, wayOut(name, known, "it has "))
		case again:
			d.fail(e.key.at, "key %q is there twice, first in line %d", name, at.line)
		default:
			first[name] = e.key.at
			values[name] = e.value
		}
	}
	return values, true
}

// lacking reports, in one line, which of the keys a map must have are missing, unless
// something else is wrong with its keys, which may be the reason.
func (d decoder) lacking(n *node, what string, values map[string]*node, keys ...string) {
	if len(values) != len(n.entries) {
		return
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return values[key] != nil })
	switch len(keys) {
	case 0:
	case 1:
		d.fail(n.at, "%s is missing: %s has one", keys[0], what)
	default:
		d.fail(n.at, "%s are missing: %s has them", join(keys, "and"), what)
	}
}

// wayOut is the nearest known name, or all of them.
func wayOut(word string, known []string, all string) string {
	return nearestOr(word, known, all+join(known, "and"))
}

func nearestOr(word string, known []string, otherwise string) string {
	if near := suggest.Name(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

// word reads a text that must be among known.
func (d decoder) word(n *node, key string, known []string) (string, bool) {
	if n.kind == text && slices.Contains(known, n.text) {
		return n.text, true
	}
	if d.full() { // nobody would read the way out
		return "", false
	}
	hint := fmt.Sprintf("give one of %d names, such as %s", len(known), known[0])
	if len(known) <= 10 {
		hint = "give " + join(known, "or")
	}
	d.fail(n.at, "%s: %s is not known: %s", key, n.quoted(), nearestOr(n.text, known, hint))
	return "", false
}

// items reads a list that is not empty.
func (d decoder) items(n *node, key string) []*node {
	switch {
	case n.kind != list:
		d.fail(n.at, "%s: %s is no list: write [...]", key, n.quoted())
	case len(n.items) == 0:
		d.fail(n.at, "%s: the list is empty, so nothing could match: leave the key out to match everything", key)
	}
	return n.items
}

// decimal reads a number without leading zeros, as a policy writes them.
func decimal(text string) (int64, bool) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits[0] == '0' && text != "0" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// dashed takes a range apart that is written as others write them, 1000-2000.
func dashed(text string) (from, to string, ok bool) {
	i := strings.LastIndex(text, "-")
	if i <= 0 || text[i-1] == '-' {
		return "", "", false
	}
	from, to = strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:])
	_, good := decimal(from)
	_, fine := decimal(to)
	return from, to, good && fine
}

// numbers is what a key's list of numbers and ranges may hold.
type numbers struct {
	key  string
	one  func(text string) (int64, bool)
	hint func(text string) string // the way out for what is none
}

// plain are decimal numbers from low to high.
func plain(key string, low, high int64) numbers {
	return numbers{
		key: key,
		one: func(text string) (int64, bool) {
			n, ok := decimal(text)
			return n, ok && n >= low && n <= high
		},
		hint: func(text string) string {
			if from, to, ok := dashed(text); ok {
				return fmt.Sprintf("a range is written %s..%s", from, to)
			}
			return fmt.Sprintf("give a number from %d to %d, or a range LOW..HIGH", low, high)
		},
	}
}

func (d decoder) spans(items []*node, want numbers) spans {
	var all spans
	for _, item := range items {
		if s, ok := d.span(item, want); ok {
			all = append(all, s)
		}
		if d.full() {
			break
		}
	}
	return merge(all)
}

// span reads N or LOW..HIGH.
func (d decoder) span(n *node, want numbers) (span, bool) {
	low, high, isRange := strings.Cut(n.text, "..")
	if !isRange {
		high = low
	}
	for _, end := range []string{low, high} {
		if _, ok := want.one(end); !ok || n.kind != text && n.kind != integer {
			part := ""
			if isRange && end != "" {
				part = fmt.Sprintf("%.40q of ", end)
			}
			d.fail(n.at, "%s: %s%s is not known: %s", want.key, part, n.quoted(), want.hint(end))
			return span{}, false
		}
	}
	var s span
	s.low, _ = want.one(low)
	s.high, _ = want.one(high)
	if s.low > s.high {
		d.fail(n.at, "%s: range %s is empty: it ends at %d, before its begin at %d", want.key, n.quoted(), s.high, s.low)
		return s, false
	}
	return s, true
}
