package tests

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// exception is one row of the table in docs/FIDELITY.md: a difference between the
// kernel and the shim that is known, explained and pinned.
type exception struct {
	number    int
	modes     []string // "forward", "forward@m32", "*"
	rows      names
	change    change
	sometimes bool // may differ, need not
	ifPresent bool // the kernel may be too old for the native side to be seen
	why, test string
}

// names are the rows of one entry: those of some patterns, without those of others.
type names struct{ these, without *regexp.Regexp }

func (n names) MatchString(id string) bool {
	return n.these.MatchString(id) && !n.without.MatchString(id)
}

// change says what the shim shows in place of the kernel's line: either every
// literal replaced ("a => b"), or any line of a shape ("a* -> b*").
type change struct {
	replace    []string // old, new, old, new...
	before, to *regexp.Regexp
}

// predicts tells whether the change has something to say about a native line.
func (c change) predicts(native string) bool {
	if c.before != nil {
		return c.before.MatchString(native)
	}
	return c.apply(native) != native
}

// allows tells whether the shim's line is the one that the change predicts.
func (c change) allows(native, shim string) bool {
	if c.before != nil {
		return c.before.MatchString(native) && c.to.MatchString(shim)
	}
	return c.predicts(native) && c.apply(native) == shim
}

func (c change) apply(line string) string { return strings.NewReplacer(c.replace...).Replace(line) }

// covers tells whether the exception is for this mode and width.
func (e exception) covers(mode, width string) bool {
	names := alsoNamed(mode)
	for _, m := range e.modes {
		name, only, limited := strings.Cut(m, "@")
		if (name == "*" || slices.Contains(names, name)) && (!limited || only == width) {
			return true
		}
	}
	return false
}

// readExceptions reads the block that is fenced with ```exceptions.
func readExceptions() ([]exception, error) {
	const path = "../docs/FIDELITY.md"
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := parseExceptions(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parseExceptions(r io.Reader) ([]exception, error) {
	var list []exception
	inside, found := false, false
	scanner := bufio.NewScanner(r)
	for number := 1; scanner.Scan(); number++ {
		line := strings.TrimSpace(scanner.Text())
		switch {
		case line == "```exceptions":
			inside, found = true, true
		case line == "```":
			inside = false
		case !inside || line == "" || strings.HasPrefix(line, "#"):
		default:
			e, err := parseException(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			e.number = number
			list = append(list, e)
		}
	}
	if !found {
		return nil, errors.New("no block fenced with ```exceptions")
	}
	return list, scanner.Err()
}

// ages end the names of modes on older kernels, the oldest first: up to 4.14, up to 4.19,
// all without pidfd_send_signal (before 5.1), all without WAIT_KILLABLE_RECV.
var ages = []string{"-4.14", "-4.19", "-old", "-5.18"}

// alsoNamed are the names under which the exceptions for a mode stand: what is for a
// mode is for it on older kernels too, and what is for a kernel for still older ones.
func alsoNamed(mode string) []string {
	for i, age := range ages {
		if plain, found := strings.CutSuffix(mode, age); found {
			names := []string{plain}
			for _, younger := range ages[i:] {
				names = append(names, plain+younger)
			}
			return names
		}
	}
	return []string{mode}
}

var knownModes = []string{"*", "auto", "auto-trace", "continue", "forward", "caller", "emulate", "guarded", "ptrace", "ptrace-emulate", "family", "served-caller", "served-emulate"}

func parseException(line string) (exception, error) {
	columns := strings.Split(line, " | ")
	if len(columns) != 5 {
		return exception{}, fmt.Errorf("%d columns, want mode | rows | change | why | test", len(columns))
	}
	for i, column := range columns {
		if columns[i] = strings.TrimSpace(column); columns[i] == "" {
			return exception{}, fmt.Errorf("column %d is empty", i+1)
		}
	}
	e := exception{modes: strings.Split(columns[0], ","), rows: parseNames(columns[1]), why: columns[3], test: columns[4]}
	for _, m := range e.modes {
		name, width, limited := strings.Cut(m, "@")
		if !slices.Contains(knownModes, alsoNamed(name)[0]) || (limited && !slices.Contains(allWidths, width)) {
			return exception{}, fmt.Errorf("mode %q is not known", m)
		}
	}
	words := columns[2]
	words, e.sometimes = strings.CutPrefix(words, "sometimes ")
	words, e.ifPresent = strings.CutPrefix(words, "if-present ")
	var err error
	e.change, err = parseChange(words)
	return e, err
}

func parseChange(words string) (change, error) {
	if before, to, ok := strings.Cut(words, " -> "); ok {
		return change{before: glob(before), to: glob(to)}, nil
	}
	var c change
	for pair := range strings.SplitSeq(words, " && ") {
		from, to, ok := strings.Cut(pair, " => ")
		if !ok || from == "" {
			return change{}, fmt.Errorf("change %q is neither OLD => NEW nor GLOB -> GLOB", pair)
		}
		c.replace = append(c.replace, from, to)
	}
	return c, nil
}

// parseNames reads globs with commas between them; "!" in front takes rows out again.
func parseNames(patterns string) names {
	var these, without []string
	for pattern := range strings.SplitSeq(patterns, ", ") {
		if unwanted, ok := strings.CutPrefix(pattern, "!"); ok {
			without = append(without, unwanted)
		} else {
			these = append(these, pattern)
		}
	}
	return names{globs(strings.Join(these, ", ")), globs(strings.Join(without, ", "))}
}

// glob knows one special character: * stands for any text, slashes too.
func glob(pattern string) *regexp.Regexp { return globs(pattern) }

// globs is one glob, or several with commas between them; "" matches no row.
func globs(patterns string) *regexp.Regexp {
	var alternatives []string
	for pattern := range strings.SplitSeq(patterns, ", ") {
		alternatives = append(alternatives, strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`))
	}
	return regexp.MustCompile(`^(?:` + strings.Join(alternatives, "|") + `)$`)
}
