package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name      string
		row       Row
		statistic string
		want      Status
	}{
		{"no bar", Row{Median: 9}, byMedian, StatusInfo},
		{"on the bar", Row{Median: 1.12, Bar: 1.12}, byMedian, StatusPass},
		{"over the bar", Row{Median: 1.13, Bar: 1.12}, byMedian, StatusMiss},
		{"lower bar met", Row{Median: 0.9, Bar: 0.85, AtLeast: true}, byMedian, StatusPass},
		{"lower bar missed", Row{Median: 0.8, Bar: 0.85, AtLeast: true}, byMedian, StatusMiss},
		{"quiet: min does not help", Row{Median: 2, Min: 1, Bar: 1.12}, byMedian, StatusMiss},
		{"load: min decides", Row{Median: 2, Min: 1, Bar: 1.12}, byMin, StatusPass},
		{"under the bar, but not the shim", Row{Median: 0.3, Bar: 0.35, foreign: true}, byMedian, StatusOther},
		{"no number", Row{Median: math.NaN(), Bar: 1.12}, byMedian, StatusMiss},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.row.judge(tt.statistic)
			if tt.row.Status != tt.want {
				t.Errorf("%+v by %s: %s, want %s", tt.row, tt.statistic, tt.row.Status, tt.want)
			}
		})
	}
}

func TestVerdictAndExitStatus(t *testing.T) {
	control := func(median, min float64) []Row { return []Row{{Median: 1, Min: 1}, {Median: median, Min: min}} }
	pass, miss := Row{Status: StatusPass}, Row{Status: StatusMiss}
	for _, tt := range []struct {
		name      string
		controls  []Row
		rows      []Row
		statistic string
		want      Verdict
		exit      int
	}{
		{"all pass", control(1, 1), []Row{pass, {Status: StatusInfo}, {Status: StatusOther}}, byMedian, VerdictPass, 0},
		{"a miss", control(1, 1), []Row{pass, miss}, byMedian, VerdictMiss, 1},
		{"an error is no pass", control(1, 1), []Row{pass, {Status: StatusError}}, byMedian, VerdictError, 1},
		{"an error is one under noise too", control(1.2, 1), []Row{{Status: StatusError}}, byMedian, VerdictError, 1},
		{"control at its edges", control(0.97, 1), []Row{pass}, byMedian, VerdictPass, 0},
		{"control high", control(1.031, 1), []Row{pass}, byMedian, VerdictInconclusive, 3},
		{"control low", control(0.969, 1), []Row{pass}, byMedian, VerdictInconclusive, 3},
		{"control strays: a miss says nothing either", control(1.2, 1), []Row{miss}, byMedian, VerdictInconclusive, 3},
		{"under load the control of the mins counts", control(1.2, 1), []Row{pass}, byMin, VerdictPass, 0},
		{"under load, mins stray", control(1, 1.2), []Row{pass}, byMin, VerdictInconclusive, 3},
		{"control not measured", control(0, 0), []Row{pass}, byMedian, VerdictInconclusive, 3},
		{"control no number", control(math.NaN(), 1), []Row{pass}, byMedian, VerdictInconclusive, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := verdict(tt.controls, tt.rows, tt.statistic)
			if got != tt.want || got.ExitStatus() != tt.exit {
				t.Errorf("%s, exit status %d; want %s, %d", got, got.ExitStatus(), tt.want, tt.exit)
			}
		})
	}
}

func TestRowsOfMeasures(t *testing.T) {
	costs := series{{base: [2]float64{100, 100}, subject: [2]float64{125, 125}}}
	unfair := series{{base: [2]float64{1, 1}, subject: [2]float64{3, 3}}}
	done := outcome{costs: costs, unfairness: unfair}
	for _, tt := range []struct {
		name    string
		c       comparison
		medians []float64
		status  []Status
	}{
		{"ratio", comparison{bar: 1.2}, []float64{1.25}, []Status{StatusMiss}},
		{"difference", comparison{bar: 30, measure: difference}, []float64{25}, []Status{StatusPass}},
		{
			"speed, and fairness with it",
			comparison{bar: 0.75, atLeast: true, measure: speed, subject: command{crowd: true, call: "info"}},
			[]float64{0.8, 3},
			[]Status{StatusPass, StatusMiss},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.subject.under = shim
			r := &result{comparison: tt.c, pinned: done, unpinned: done}
			rows := r.rows(byMedian, nil)
			if len(rows) != len(tt.medians) {
				t.Fatalf("%d rows, want %d", len(rows), len(tt.medians))
			}
			for i, row := range rows {
				if row.Median != tt.medians[i] || row.Unpinned != tt.medians[i] || row.Status != tt.status[i] {
					t.Errorf("row %d: %+v, want %v, %s", i, row, tt.medians[i], tt.status[i])
				}
			}
		})
	}
}

func TestMemoryRows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		s      sample
		err    error
		status [2]Status
	}{
		{"small and steady", sample{HalfKiB: 9000, EndKiB: 9010}, nil, [2]Status{StatusPass, StatusPass}},
		{"small but growing", sample{HalfKiB: 9000, EndKiB: 12000}, nil, [2]Status{StatusPass, StatusMiss}},
		{"large", sample{HalfKiB: 30000, EndKiB: 30000}, nil, [2]Status{StatusMiss, StatusPass}},
		{"supervisor not seen", sample{HalfKiB: -1, EndKiB: -1}, nil, [2]Status{StatusError, StatusError}},
		{"failed", sample{}, errors.New("no"), [2]Status{StatusError, StatusError}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows := memoryRows(tt.s, tt.err)
			if got := [2]Status{rows[0].Status, rows[1].Status}; got != tt.status {
				t.Errorf("%v, want %v", got, tt.status)
			}
		})
	}
}

// TestEachBaseIsExplained: a ratio says nothing where nobody knows what it is a ratio to.
func TestEachBaseIsExplained(t *testing.T) {
	for _, c := range append(controls(), plan()...) {
		if c.base.does() == "" {
			t.Errorf("%s: nobody says what %q does", c.name, c.against)
		}
	}
}

// TestSVGIsDrawn: it is XML, and has each ratio, whatever that is.
func TestSVGIsDrawn(t *testing.T) {
	r := &Report{Statistic: byMin, Kernel: "<6>", Rows: []Row{
		{Case: "a & b", Unit: "x", Min: 1.25, Bar: 1.3, Status: StatusPass},
		{Case: "far", Unit: "x", Min: 70, Status: StatusInfo},
		{Case: "start", Unit: "ms", Min: 3},
	}}
	var out bytes.Buffer
	if err := r.SVG(&out); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for decoder := xml.NewDecoder(&out); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
	for _, want := range []string{"a & b", "1.25", "far", "70.00"} {
		if !slices.Contains(texts, want) {
			t.Errorf("the plot lacks %q: %q", want, texts)
		}
	}
	if slices.Contains(texts, "start") {
		t.Error("milliseconds are drawn as a ratio")
	}
}

func TestSummaryNamesTheStrayControl(t *testing.T) {
	r := &Report{
		Statistic: byMedian,
		Controls:  []Row{{Case: "steady", Median: 1}, {Case: "shaky", Median: 1.05}},
		Verdict:   VerdictInconclusive,
	}
	if got := r.Summary(); !strings.Contains(got, "shaky is 1.050") || strings.Contains(got, "steady") {
		t.Errorf("summary %q", got)
	}
}

func TestTableAndJSONHaveEachRow(t *testing.T) {
	r := &Report{
		Controls:   []Row{{Case: "A/A of it", Against: "itself", Unit: "x", Median: 1, Min: 1}},
		Rows:       []Row{{Case: "good", Unit: "x", Median: 1, Bar: 2, Status: StatusPass}, {Case: "broken", Status: StatusError, Note: "why"}},
		Unmeasured: []string{"that"},
		Verdict:    VerdictMiss,
		StandIn:    true,
	}
	var table bytes.Buffer
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A/A of it", "good", "pass", "broken", "ERROR", "why", "that", "miss"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("table lacks %q:\n%s", want, table.String())
		}
		if !bytes.Contains(asJSON, []byte(want)) {
			t.Errorf("JSON lacks %q: %s", want, asJSON)
		}
	}
	if !strings.Contains(table.String(), "IN THE SHIM'S PLACE") {
		t.Error("table hides that the shim was not measured")
	}
}
