package metrics

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// TestPrometheusReadsIt has Prometheus's own parser read what is written.
func TestPrometheusReadsIt(t *testing.T) {
	c := New()
	c.Gauge("pidfd_shim_listeners", "Listeners.", func() float64 { return 3 })
	for i := range 3 {
		call := &shim.Call{Received: shim.Monotonic(), Record: shim.Record{Path: shim.PathForward, Rule: `a "quoted" \ rule`, Denied: i == 0}}
		c.After(call, shim.Verdict{Kind: shim.KindReturn}, nil)
	}
	page := c.Pages(func() error { return nil })["/metrics"]()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page.Body))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(families["pidfd_shim_calls_total"].GetMetric()); n != 2 {
		t.Errorf("%d series of calls, want one denied and one allowed", n)
	}
	for _, l := range families["pidfd_shim_calls_total"].GetMetric()[0].GetLabel() {
		if l.GetName() == "rule" && l.GetValue() != `a "quoted" \ rule` {
			t.Errorf("the rule is %q", l.GetValue())
		}
	}
	for _, m := range families["pidfd_shim_call_seconds"].GetMetric() {
		h, want := m.GetHistogram(), uint64(0)
		if m.GetLabel()[0].GetValue() == "forward" {
			want = 3
		}
		if h.GetSampleCount() != want || len(h.GetBucket()) != len(bounds)+1 || h.GetBucket()[len(bounds)].GetCumulativeCount() != want {
			t.Errorf("%v", m)
		}
	}
	if v := families["process_resident_memory_bytes"].GetMetric()[0].GetGauge().GetValue(); v < 1<<20 {
		t.Errorf("resident memory is %v", v)
	}
}

// TestBucketsAreInclusive: a bucket's bound belongs to it.
func TestBucketsAreInclusive(t *testing.T) {
	var h times
	h.observe(2000)
	h.observe(2001)
	h.observe(6_000_000_000)
	var text strings.Builder
	h.writeTo(&text, "x", `a="b"`)
	for _, want := range []string{`x_bucket{a="b",le="2e-06"} 1`, `le="5e-06"} 2`, `le="5"} 2`, `le="+Inf"} 3`, "x_sum{a=\"b\"} 6.000004001\n", "x_count{a=\"b\"} 3\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, &text)
		}
	}
}

// TestRulesAreBounded: a policy of many rules does not make as many series.
func TestRulesAreBounded(t *testing.T) {
	c := New()
	for i := range 10 * maxRules {
		c.After(&shim.Call{Record: shim.Record{Rule: fmt.Sprintf("rule-%d", i)}}, shim.Verdict{Kind: shim.KindReturn}, nil)
	}
	if n := len(c.calls.series); n != maxRules+1 {
		t.Errorf("%d series, want %d", n, maxRules+1)
	}
}
