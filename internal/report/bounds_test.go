package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// However long the file, what is kept and the page stay small, and nothing that is
// left out goes unsaid.
func TestBounds(t *testing.T) {
	r := &Report{}
	const calls = 3 * maxDeniedPairs
	for i := range calls {
		verdict := "allow"
		if i%3 == 0 {
			verdict = "deny"
		}
		name := fmt.Sprint("p", i)
		pid := int64(i)
		r.add(&line{
			at: time.Unix(int64(i)*1000, 0), Verdict: verdict, Errno: name,
			Caller: &party{Pid: &pid, Comm: &name}, Target: &party{Pid: &pid, Comm: &name},
		})
	}
	if n := len(r.pairs.known); n != maxDeniedPairs {
		t.Errorf("%d pairs are kept, want %d", n, maxDeniedPairs)
	}
	if got := r.pairs.others.total(); got != calls-maxDeniedPairs {
		t.Errorf("%d calls of further pairs, want %d", got, calls-maxDeniedPairs)
	}
	if len(r.Denials.List) != maxDenials || r.Denials.Total() != calls/3 {
		t.Errorf("%d denials listed of %d", len(r.Denials.List), r.Denials.Total())
	}
	if n := len(r.buckets.counts); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
	if n := len(r.totals.errno.known); n != maxValues || r.totals.errno.others != calls-maxValues {
		t.Errorf("%d errnos are kept and %d counted together", n, r.totals.errno.others)
	}
	page := pageOf(t, r)
	for _, said := range []string{"4000 later denials", "10000 calls between further pairs", "(4971 others)", "all others"} {
		if !strings.Contains(page, said) {
			t.Errorf("the page does not say %q", said)
		}
	}
}

// A pair that is denied is kept when harmless ones have filled their room.
func TestDeniedPairIsNotCrowdedOut(t *testing.T) {
	r := &Report{}
	for i := range maxPairs + 1 {
		verdict := "allow"
		if i == maxPairs {
			verdict = "deny"
		}
		pid := int64(i)
		r.add(&line{Verdict: verdict, Caller: &party{Pid: &pid}})
	}
	if first := r.pairs.links()[0]; first.Deny != 1 {
		t.Errorf("first link is %+v, want the denied one", first)
	}
}

// Buckets are the same whatever the order of lines, and lose none.
func TestTimelineKnowsNoOrder(t *testing.T) {
	for _, span := range []time.Duration{0, time.Millisecond, time.Second, time.Hour, 1000 * time.Hour, 1e6 * time.Hour} {
		var times []time.Time
		for i := range 300 {
			times = append(times, time.UnixMicro(-1000+int64(i)*span.Microseconds()/300))
		}
		want := draw(times)
		for range 5 {
			rand.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
			if got := draw(times); got != want {
				t.Errorf("span %v: another order gives\n%s\nnot\n%s", span, got, want)
			}
		}
	}
	whole := &Report{}
	for _, year := range []int{0, 9999} {
		whole.buckets.add(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), "allow")
	}
	if n := len(whole.Timeline().Bars); n != 2 {
		t.Errorf("all years that a time can have: %d bars, want 2", n)
	}
}

func draw(times []time.Time) string {
	r := &Report{}
	for i, at := range times {
		r.buckets.add(at, "allow")
		if n := r.buckets.max - r.buckets.min + 1; n > maxBuckets {
			return fmt.Sprintf("%d buckets after %d lines", n, i+1)
		}
	}
	sum := 0
	for _, c := range r.buckets.counts {
		sum += c.total()
	}
	return fmt.Sprintf("%d calls: %+v", sum, *r.Timeline())
}

// Many callers in containers are drawn as their containers.
func TestGraphByContainer(t *testing.T) {
	r := &Report{}
	for i := range 2 * maxNodes {
		pid := int64(i)
		r.add(&line{Verdict: "allow", Container: fmt.Sprint("c", i%3), Caller: &party{Pid: &pid}, Target: &party{}})
	}
	g := r.Graph()
	if len(g.Edges) != 3 || g.Edges[0].Label != "20" || g.Nodes[0].Label != "container c0" {
		t.Errorf("%d edges, %+v; nodes %+v", len(g.Edges), g.Edges, g.Nodes)
	}
	if page := pageOf(t, r); page != pageOf(t, r) {
		t.Error("two drawings differ")
	}
}

// A bucket before 1970 is as wide as one after.
func TestFloorDiv(t *testing.T) {
	for _, row := range [][3]int64{{-11, 10, -2}, {-10, 10, -1}, {-1, 10, -1}, {0, 10, 0}, {9, 10, 0}, {10, 10, 1}} {
		if got := floorDiv(row[0], row[1]); got != row[2] {
			t.Errorf("%d / %d is %d, want %d", row[0], row[1], got, row[2])
		}
	}
	for i := 1; i < len(widths); i++ {
		if widths[i]%widths[i-1] != 0 {
			t.Errorf("width %d is not so many of %d", widths[i], widths[i-1])
		}
	}
}
