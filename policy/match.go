package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

func matchKeys() []string {
	return []string{"signals", "scope", "codes", "values", "caller", "target"}
}

func callerKeys() []string { return []string{"uid", "euid", "gid", "exe", "comm", "cgroup", "abi"} }

func targetKeys() []string { return []string{"uid", "exe", "comm", "cgroup", "pid", "relation"} }

// match reads what a rule asks for, the cheap checks first.
func (d decoder) match(n *node) []check {
	values := d.filled(n, "match", matchKeys())
	all := map[string]*node{}
	for name, value := range values {
		switch name {
		case "caller":
			d.party(all, value, name, callerKeys())
		case "target":
			d.party(all, value, name, targetKeys())
		default:
			all[name] = value
		}
	}
	var checks []check
	for k := range keyCount {
		if value := all[k.String()]; value != nil {
			checks = append(checks, d.check(k, value))
		}
	}
	return checks
}

func (d decoder) party(all map[string]*node, n *node, who string, known []string) {
	for name, value := range d.filled(n, who, known) {
		all[who+"."+name] = value
	}
}

// filled is an object with at least one key: one without would seem to ask something.
func (d decoder) filled(n *node, what string, known []string) map[string]*node {
	values, ok := d.object(n, what, known)
	if ok && len(n.entries) == 0 {
		d.fail(n.at, "%s asks for nothing: leave it out to match everything", what)
	}
	return values
}

func (d decoder) check(k key, n *node) check {
	c := check{key: k, fact: k.fact()}
	items := d.items(n, k.String())
	var words []string
	for _, item := range items {
		words = append(words, item.text)
	}
	c.wanted = strings.Join(words, ", ")
	switch k {
	case keySignals:
		c.spans = d.spans(items, numbers{k.String(), signalNumber, signalHint})
	case keyScope:
		c.scopes = uint8(d.bits(items, k, scopeNames())) << ScopeProcess
	case keyABI:
		c.abis = uint8(d.bits(items, k, abiNames())) << arch.FirstABI
	case keyRelation:
		c.relations = Relation(d.bits(items, k, relationNames()))
	case keyCodes:
		c.null, c.spans = d.codes(items)
	case keyValues:
		c.spans = d.spans(items, plain(k.String(), math.MinInt32, math.MaxInt32))
	case keyCallerUID, keyCallerEUID, keyCallerGID, keyTargetUID:
		c.spans, c.wanted = d.ids(items, k)
	case keyTargetPid:
		c.spans = d.spans(items, plain(k.String(), 1, math.MaxInt32))
	default:
		c.globs = d.globs(items, k)
	}
	return c
}

// maxID leaves out (uid_t)-1, which nobody has.
const maxID = math.MaxUint32 - 1

// bits reads a list of known words into a set of their places.
func (d decoder) bits(items []*node, k key, known []string) uint {
	var set uint
	for _, item := range items {
		if word, ok := d.word(item, k.String(), known); ok {
			set |= 1 << slices.Index(known, word)
		}
	}
	return set
}

func signalHint(text string) string {
	word := strings.ToUpper(text)
	if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && word != "" && word != "NULL" && !strings.HasPrefix(word, "SIG") {
		text = "SIG" + word
	}
	return nearestOr(text, signalNames(), "give a name as kill -l prints them, a number from 0 to 64, or a range LOW..HIGH")
}

func (d decoder) codes(items []*node) (null bool, list spans) {
	known := codeNumbers()
	names := append(slices.Sorted(maps.Keys(known)), "NULL")
	want := numbers{
		key: keyCodes.String(),
		one: func(text string) (int64, bool) {
			if n, ok := known[text]; ok {
				return n, true
			}
			n, ok := decimal(text)
			return n, ok && n >= math.MinInt32 && n <= math.MaxInt32
		},
		hint: func(text string) string {
			return nearestOr(text, names, "give a name such as SI_QUEUE, \"NULL\" in quotes, a number, or a range LOW..HIGH")
		},
	}
	var rest []*node
	for _, item := range items {
		if item.kind == text && item.text == "NULL" {
			null = true
			continue
		}
		rest = append(rest, item)
	}
	return null, d.spans(rest, want)
}

// maxComm is how long the kernel lets a thread's name be (TASK_COMM_LEN less its NUL).
const maxComm = 15

func (d decoder) globs(items []*node, k key) []glob {
	inPath := k != keyCallerComm && k != keyTargetComm
	var list []glob
	for _, item := range items {
		if item.kind != text {
			d.fail(item.at, "%v: %s is no text: put it in quotes", k, item.quoted())
			continue
		}
		g, err := parseGlob(item.text, inPath)
		if err == nil {
			err = canMatch(&g, inPath)
		}
		if err != nil {
			d.fail(item.at, "%v: pattern %s cannot be: %v", k, item.quoted(), err)
			continue
		}
		list = append(list, g)
	}
	return list
}

// canMatch finds patterns that no path or name fits: a denial by one of them would
// only seem to be one.
func canMatch(g *glob, inPath bool) error {
	if inPath {
		if !strings.HasPrefix(g.text, "/") && !strings.HasPrefix(g.text, "**") {
			return fmt.Errorf("it is no absolute path, so it never matches: begin with / or **")
		}
		return nil
	}
	need := 0
	for _, p := range g.parts {
		if !p.star {
			need++
		}
	}
	if need > maxComm {
		return fmt.Errorf("the kernel cuts names at %d bytes, so it never matches", maxComm)
	}
	return nil
}
