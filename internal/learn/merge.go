package learn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Merge adds to a policy's text rules for the calls that it denies by default. Those that one
// of its rules denies stay denied: somebody meant it.
func Merge(p *policy.Policy, text string, lines []Line) (*Learned, string, error) {
	var denied []Line
	meant := map[string]int{}
	for _, r := range Replay(p, lines) {
		switch {
		case r.Change != Denied:
		case r.Rule == "default":
			denied = append(denied, *r.Line)
		default:
			meant[r.Rule]++
		}
	}
	l := Learn(denied)
	for rule, n := range meant {
		l.Notes = append(l.Notes, fmt.Sprintf("%s left out: denied by rule %q", calls(n), rule))
	}
	slices.Sort(l.Notes)
	if len(l.rules) == 0 {
		return l, text, nil
	}
	l.rename(p.Rules())
	merged, err := l.insert(text)
	return l, merged, err
}

// rename keeps clear of the names that are taken.
func (l *Learned) rename(taken []string) {
	for i := range l.rules {
		r := &l.rules[i]
		for name, n := r.name, 2; slices.Contains(taken, r.name); n++ {
			r.name = fmt.Sprintf("%s-%d", name, n)
		}
		taken = append(taken, r.name)
	}
}

// insert puts the rules behind the last of the file's, which are a list in block style or
// are not there.
func (l *Learned) insert(text string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	start := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "rules:") })
	if start < 0 {
		start = len(lines)
		if end := slices.IndexFunc(lines, func(s string) bool { return strings.TrimSpace(s) == "..." }); end >= 0 {
			start = end
		}
		lines = slices.Insert(lines, start, "rules:\n")
	}
	switch rest, _, _ := strings.Cut(strings.TrimPrefix(lines[start], "rules:"), "#"); strings.TrimSpace(rest) {
	case "":
	case "[]":
		lines[start] = strings.Replace(lines[start], " []", "", 1)
	default:
		return "", errors.New("its rules are in one line: write each in a line of its own")
	}
	indent, end := "  ", start+1
	for i := start + 1; i < len(lines); i++ {
		trimmed := strings.TrimLeft(lines[i], " ")
		switch {
		case strings.TrimSpace(trimmed) == "" || trimmed[0] == '#':
			continue
		case trimmed == lines[i] && trimmed[0] != '-':
			i = len(lines)
			continue
		}
		if end == start+1 {
			indent = lines[i][:len(lines[i])-len(trimmed)]
		}
		end = i + 1
	}
	return strings.Join(lines[:end], "") + l.ruleLines(indent, "new: ") + strings.Join(lines[end:], ""), nil
}
