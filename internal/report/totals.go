package report

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// totals count calls by the values of some fields.
type totals struct {
	verdict, path, guard, signal, errno, rule, syscall, container tally

	latency [len(latencies) + 1]int
}

// latencies are the bounds of the table of waiting times, in microseconds.
var latencies = [...]int64{10, 20, 50, 100, 1000, 10_000, 100_000}

func (t *totals) latencyTable() Total {
	table := Total{Title: "answered within"}
	for i, calls := range t.latency {
		value := "longer"
		if i < len(latencies) {
			value = (time.Duration(latencies[i]) * time.Microsecond).String()
		}
		if calls > 0 {
			table.Rows = append(table.Rows, TotalRow{value, calls})
		}
	}
	return table
}

func (t *totals) add(l *line) {
	t.verdict.count(l.Verdict)
	t.path.count(l.Path)
	t.guard.count(l.Guard)
	t.signal.count(or(l.Signal, "none"))
	t.errno.count(or(&l.Errno, "none"))
	t.rule.count(or(l.Rule, "none"))
	t.syscall.count(l.Syscall)
	t.container.count(l.Container)
	at, _ := slices.BinarySearch(latencies[:], l.Latency)
	t.latency[at]++
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
	all := []Total{
		t.verdict.table("verdict"), t.path.table("path"), t.guard.table("guard"), t.signal.table("signal"),
		t.errno.table("errno"), t.rule.table("rule"), t.syscall.table("syscall"),
		t.latencyTable(),
	}
	if len(t.container.known) > 1 || t.container.known[""] == 0 && r.Calls > 0 {
		all = append(all, t.container.table("container"))
	}
	return all
}
