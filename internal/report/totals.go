package report

import (
	"cmp"
	"maps"
	"slices"
)

// totals count calls by the values of some fields.
type totals struct {
	verdict, path, guard, signal, errno, rule, syscall tally
}

func (t *totals) add(l *line) {
	t.verdict.count(l.Verdict)
	t.path.count(l.Path)
	t.guard.count(l.Guard)
	t.signal.count(or(l.Signal, "none"))
	t.errno.count(or(&l.Errno, "none"))
	t.rule.count(or(l.Rule, "none"))
	t.syscall.count(l.Syscall)
}

// tally counts by value. A file may hold any number of values: those that come after
// maxValues are counted together.
type tally struct {
	known  map[string]int
	others int
}

const maxValues = 100

func (t *tally) count(value string) {
	if t.known == nil {
		t.known = make(map[string]int)
	}
	if _, known := t.known[value]; !known && len(t.known) == maxValues {
		t.others++
		return
	}
	t.known[value]++
}

// Total is one of the page's small tables.
type Total struct {
	Title string
	Rows  []TotalRow
}

// TotalRow is a value, and how many calls had it.
type TotalRow struct {
	Value string
	Calls int
}

func (t *tally) table(title string) Total {
	var rows []TotalRow
	for _, value := range slices.Sorted(maps.Keys(t.known)) {
		rows = append(rows, TotalRow{or(&value, "(empty)"), t.known[value]})
	}
	slices.SortStableFunc(rows, func(a, b TotalRow) int { return cmp.Compare(b.Calls, a.Calls) })
	if t.others > 0 {
		rows = append(rows, TotalRow{"all others", t.others})
	}
	return Total{title, rows}
}

// Totals are the tables in the order of the page.
func (r *Report) Totals() []Total {
	t := &r.totals
	return []Total{
		t.verdict.table("verdict"), t.path.table("path"), t.guard.table("guard"), t.signal.table("signal"),
		t.errno.table("errno"), t.rule.table("rule"), t.syscall.table("syscall"),
	}
}
