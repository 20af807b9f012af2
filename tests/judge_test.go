package tests

import (
	"fmt"
	"strings"
)

// verdicts counts what became of the rows of one run, and says what is wrong.
type verdicts struct {
	rows, equal, excepted int
	failures              []string // one entry a row, or an exception
}

func (v verdicts) String() string {
	return fmt.Sprintf("%d rows, %d equal, %d excepted, %d failed", v.rows, v.equal, v.excepted, len(v.failures))
}

// judge compares a run under the shim with the native one. Each difference must be
// an exception's, and each exception must still be a difference; in a part of the
// rows an exception may find nothing to do.
func judge(native, shim []row, list []exception, mode, width string, part bool) verdicts {
	v := verdicts{rows: len(native)}
	other := make(map[string]string, len(shim))
	for _, r := range shim {
		other[r.id] = r.line
	}
	if len(other) != len(native) {
		v.failures = append(v.failures, fmt.Sprintf("%d rows natively, %d under the shim", len(native), len(other)))
	}
	matched, predicted := make([]bool, len(list)), make([]bool, len(list))
	for _, r := range native {
		line, ran := other[r.id]
		if !ran {
			v.failures = append(v.failures, "row "+r.id+" did not run under the shim")
			continue
		}
		v.judgeRow(r, line, list, matched, predicted, mode, width)
	}
	for i, e := range list {
		switch {
		case part || !e.covers(mode, width):
		case !matched[i]:
			v.failures = append(v.failures, fmt.Sprintf("exception at line %d matches no row's name", e.number))
		case !predicted[i] && !e.ifPresent:
			v.failures = append(v.failures, fmt.Sprintf("exception at line %d changes no row that it matches", e.number))
		}
	}
	return v
}

func (v *verdicts) judgeRow(r row, shim string, list []exception, matched, predicted []bool, mode, width string) {
	var allowed bool
	var stale []string
	for i, e := range list {
		if !e.covers(mode, width) || !e.rows.MatchString(r.id) {
			continue
		}
		matched[i] = true
		if !e.change.predicts(r.line) {
			continue
		}
		predicted[i] = true
		if !e.sometimes {
			stale = append(stale, fmt.Sprint(e.number))
		}
		allowed = allowed || e.change.allows(r.line, shim)
	}
	switch {
	case r.line == shim && len(stale) == 0:
		v.equal++
	case r.line == shim:
		v.failures = append(v.failures, fmt.Sprintf("row %s is equal: stale exception at line %s", r.id, strings.Join(stale, ", ")))
	case allowed:
		v.excepted++
	default:
		v.failures = append(v.failures, sideBySide(r.id, r.line, shim))
	}
}

// sideBySide shows two lines one above the other, with the first difference marked.
func sideBySide(id, native, shim string) string {
	at := 0
	for at < len(native) && at < len(shim) && native[at] == shim[at] {
		at++
	}
	return fmt.Sprintf("row %s\n    native %s\n    shim   %s\n           %s^", id, native, shim, strings.Repeat(" ", at))
}
