package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Report is what a run found. Its JSON is the same as its table.
type Report struct {
	Kernel    string `json:"kernel"`
	CPUs      int    `json:"cpus"`
	StandIn   bool   `json:"stand_in"`  // the C floor was measured in the shim's place
	Statistic string `json:"statistic"` // that rows are judged by: median, or min under load
	Samples   int    `json:"samples"`   // a side, a case

	Controls   []Row    `json:"controls"`
	Rows       []Row    `json:"rows"`
	Unmeasured []string `json:"unmeasured"`
	Verdict    Verdict  `json:"verdict"`
}

// Row is one case. Of the ratios, median and min are with everything on one CPU.
type Row struct {
	Case       string  `json:"case"`
	Against    string  `json:"against,omitempty"`
	BaseDoes   string  `json:"base_does,omitempty"` // what it is compared with, in a sentence
	Cost       float64 `json:"cost"`                // median, ns a call or CostUnit
	BaseCost   float64 `json:"base_cost"`           // of what it is compared with
	CostUnit   string  `json:"cost_unit"`
	OverNative float64 `json:"over_native,omitempty"` // cost / native call of the same kind
	Median     float64 `json:"median"`
	Min        float64 `json:"min"`
	Unpinned   float64 `json:"unpinned,omitempty"` // median
	Unit       string  `json:"unit"`               // of median, min, unpinned and bar; x is a ratio
	Bar        float64 `json:"bar,omitempty"`
	AtLeast    bool    `json:"at_least,omitempty"`
	Status     Status  `json:"status"`
	Note       string  `json:"note,omitempty"`

	foreign bool // measured on something else than the shim
}

// Status is how a row stands to its bar.
type Status string

// The statuses.
const (
	StatusInfo  Status = "-"        // has no bar
	StatusPass  Status = "pass"     //
	StatusMiss  Status = "MISS"     //
	StatusOther Status = "not ours" // measured on something else than the shim
	StatusError Status = "ERROR"    // could not be measured
)

// Verdict is the outcome of a run.
type Verdict string

// The verdicts.
const (
	VerdictPass         Verdict = "pass"
	VerdictMiss         Verdict = "miss"
	VerdictError        Verdict = "error"        // a row could not be measured at all
	VerdictInconclusive Verdict = "inconclusive" // the A/A control strays: neither pass nor fail
)

// ExitStatus of the command: 0, 1 for a miss or an error, 3. 2 is bad usage.
func (v Verdict) ExitStatus() int {
	switch v {
	case VerdictPass:
		return 0
	case VerdictInconclusive:
		return 3
	}
	return 1
}

// An A/A ratio outside of these says that differences as small as our bars' drown.
const leastControl, mostControl = 0.97, 1.03

// The statistics. Under load a median holds other people's work, the fastest sample
// the least of it.
const (
	byMedian = "median"
	byMin    = "min"
)

func (m *measuring) report(shim string) *Report {
	r := &Report{
		Kernel:     kernelRelease(),
		CPUs:       runtime.NumCPU(),
		StandIn:    shim == StandIn,
		Statistic:  byMedian,
		Samples:    2 * m.scale.rounds,
		Unmeasured: unmeasured(),
	}
	if !m.quiet() {
		r.Statistic = byMin
	}
	natives := m.nativeCosts()
	for i, res := range m.results {
		rows := res.rows(r.Statistic, natives)
		if i < len(controls()) {
			r.Controls = append(r.Controls, rows...)
			continue
		}
		r.Rows = append(r.Rows, rows...)
	}
	r.Rows = append(r.Rows, sizeRow(m.programs.shim))
	r.Rows = append(r.Rows, memoryRows(m.memory, m.memErr)...)
	r.Verdict = verdict(r.Controls, r.Rows, r.Statistic)
	return r
}

// nativeCosts are the costs of bare calls, by kind.
func (m *measuring) nativeCosts() map[string]float64 {
	costs := make(map[string]float64)
	for _, r := range m.results {
		if r.subject.under == bare {
			costs[r.subject.call] = median(r.pinned.costs.subjects())
		}
	}
	return costs
}

// rows are what a comparison says: one row, two where there were many callers.
func (r *result) rows(statistic string, natives map[string]float64) []Row {
	row := Row{
		Case: r.name, Against: r.against, CostUnit: "ns", Unit: "x",
		Bar: r.bar, AtLeast: r.atLeast, Note: r.note, foreign: r.subject.under < firstJudged,
	}
	row.BaseDoes = r.base.does()
	if r.subject.call == "" {
		row.CostUnit = "ms"
	}
	if r.err != nil {
		row.Status, row.Note = StatusError, r.err.Error()
		return []Row{row}
	}
	costs := r.pinned.costs
	row.Cost, row.BaseCost = median(costs.subjects()), median(costs.bases())
	if native := natives[r.subject.call]; native > 0 && !r.subject.crowd {
		row.OverNative = row.Cost / native
	}
	fastest, fastestBase := least(costs.subjects()), least(costs.bases())
	switch r.measure {
	case ratio:
		row.Median, row.Min = costs.medianOf(round.ratio), fastest/fastestBase
		row.Unpinned = r.unpinned.costs.medianOf(round.ratio)
	case speed:
		row.Median, row.Min = 1/costs.medianOf(round.ratio), fastestBase/fastest
		row.Unpinned = 1 / r.unpinned.costs.medianOf(round.ratio)
	case whole:
		row.Unit = "ms"
		row.Median, row.Min, row.Unpinned = row.Cost, fastest, median(r.unpinned.costs.subjects())
	case difference:
		row.Unit = "ms"
		row.Median, row.Min = costs.medianOf(round.difference), fastest-fastestBase
		row.Unpinned = r.unpinned.costs.medianOf(round.difference)
	}
	row.judge(statistic)
	if !r.subject.crowd {
		return []Row{row}
	}
	return []Row{row, r.fairness(statistic)}
}

// fairness tells whether one of many callers was starved. Its costs are those of the
// floor and the shim in the same figure, busiest over idlest.
func (r *result) fairness(statistic string) Row {
	pinned, unpinned := r.pinned.unfairness, r.unpinned.unfairness
	row := Row{
		Case: fmt.Sprintf("%d callers, busiest / idlest", crowd), Against: r.against,
		Cost: median(pinned.subjects()), BaseCost: median(pinned.bases()), CostUnit: "x",
		Median: median(pinned.subjects()), Min: least(pinned.subjects()),
		Unpinned: median(unpinned.subjects()),
		Unit:     "x", Bar: maxUnfairness,
	}
	row.judge(statistic)
	return row
}

// maxSizeMB is how large the binary may be.
const maxSizeMB = 12

func sizeRow(program string) Row {
	row := Row{Case: "size of the binary", CostUnit: "MB", Unit: "MB", Bar: maxSizeMB}
	info, err := os.Stat(program)
	if err != nil {
		row.Status, row.Note = StatusError, err.Error()
		return row
	}
	row.set(float64(info.Size()) / 1e6)
	return row
}

// The bars of the supervisor's memory. What it grows by after half of the calls are
// pages of its own text that it had not touched before, at most.
const (
	maxResidentMiB = 20
	maxGrowthMiB   = 0.25
)

func memoryRows(s sample, err error) []Row {
	resident := Row{Case: "memory of the supervisor", CostUnit: "MiB", Unit: "MiB", Bar: maxResidentMiB}
	growth := Row{Case: "its growth in the second half", CostUnit: "MiB", Unit: "MiB", Bar: maxGrowthMiB}
	if err == nil && min(s.HalfKiB, s.EndKiB) <= 0 {
		err = errors.New("read VmRSS of the caller's parent: not to be seen")
	}
	if err != nil {
		for _, row := range []*Row{&resident, &growth} {
			row.Status, row.Note = StatusError, err.Error()
		}
		return []Row{resident, growth}
	}
	resident.set(float64(s.EndKiB) / 1024)
	resident.Note = fmt.Sprintf("after %d calls", s.Calls)
	growth.set(float64(s.EndKiB-s.HalfKiB) / 1024)
	return []Row{resident, growth}
}

// set fills a row that has one figure only.
func (row *Row) set(figure float64) {
	row.Cost, row.Median, row.Min = figure, figure, figure
	row.judge(byMedian)
}

// judge sets the status by the figure of the statistic.
func (row *Row) judge(statistic string) {
	figure := row.figure(statistic)
	switch {
	case row.Bar == 0:
		row.Status = StatusInfo
	case row.foreign:
		row.Status = StatusOther
	case row.AtLeast && figure >= row.Bar, !row.AtLeast && figure <= row.Bar:
		row.Status = StatusPass
	default:
		row.Status = StatusMiss
	}
}

func (row *Row) figure(statistic string) float64 {
	if statistic == byMin {
		return row.Min
	}
	return row.Median
}

// verdict: what failed has failed however noisy the machine, but under a control that
// strays a miss says no more than a pass.
func verdict(controls, rows []Row, statistic string) Verdict {
	if has(controls, StatusError) || has(rows, StatusError) {
		return VerdictError
	}
	for _, c := range controls {
		if c.strays(statistic) {
			return VerdictInconclusive
		}
	}
	if has(rows, StatusMiss) {
		return VerdictMiss
	}
	return VerdictPass
}

func has(rows []Row, s Status) bool {
	return slices.ContainsFunc(rows, func(row Row) bool { return row.Status == s })
}

// strays is written so that it holds of NaN.
func (row *Row) strays(statistic string) bool {
	f := row.figure(statistic)
	return !(f >= leastControl && f <= mostControl)
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return strings.TrimRight(string(u.Release[:]), "\x00")
}
