package report

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxBuckets is how many bars a timeline may have.
const maxBuckets = 120

// widths of a bucket in microseconds. Each divides the next, so that buckets can be
// put together when the file turns out to be longer.
var widths = [...]int64{
	1e3, 2e3, 10e3, 20e3, 100e3, 200e3, 1e6, 5e6, 10e6, 30e6, 60e6, 300e6, 600e6, 1800e6,
	3600e6, 6 * 3600e6, 12 * 3600e6, day, 10 * day, 100 * day, 1000 * day, 1e4 * day, 1e5 * day,
}

const day = 24 * 3600e6

// buckets count verdicts by time. They come out the same whatever the order of lines.
type buckets struct {
	level    int // in widths
	counts   map[int64]*counts
	min, max int64 // the outermost keys
}

type counts struct{ Allow, Deny, Error int }

func (c *counts) total() int { return c.Allow + c.Deny + c.Error }

func (c *counts) add(o counts) {
	c.Allow += o.Allow
	c.Deny += o.Deny
	c.Error += o.Error
}

func countsOf(verdict string) counts {
	switch verdict {
	case "allow":
		return counts{Allow: 1}
	case "deny":
		return counts{Deny: 1}
	}
	return counts{Error: 1}
}

func (b *buckets) add(at time.Time, verdict string) {
	b.put(floorDiv(at.UnixMicro(), widths[b.level]), countsOf(verdict))
	for b.max-b.min >= maxBuckets && b.level+1 < len(widths) {
		b.widen()
	}
}

func (b *buckets) put(key int64, c counts) {
	if b.counts == nil {
		b.counts = make(map[int64]*counts)
		b.min, b.max = key, key
	}
	b.min, b.max = min(b.min, key), max(b.max, key)
	if b.counts[key] == nil {
		b.counts[key] = new(counts)
	}
	b.counts[key].add(c)
}

// widen puts buckets together.
func (b *buckets) widen() {
	factor := widths[b.level+1] / widths[b.level]
	old := b.counts
	b.counts = nil
	b.level++
	for key, c := range old {
		b.put(floorDiv(key, factor), *c)
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Timeline is a drawing, in its own units.
type Timeline struct {
	Width, Height int
	Base          int // where bars stand
	Bars          []Bar
	Ticks         []Tick
	Top           int    // calls in the highest bar
	Step          string // what one bar is
}

// Bar is one colour of a bucket.
type Bar struct {
	X, Y, W, H float64
	Class      string
	Title      string
}

// Tick is a time below the bars.
type Tick struct {
	X     float64
	Text  string
	Align string // text-anchor
}

const (
	timelineWidth  = 1000
	timelineHeight = 190
	timelineBase   = 165
	timelineTop    = 20
	fewestBars     = 20 // as wide as a bar gets
	smallestBar    = 3  // height of one denial among thousands of calls
)

// Timeline draws the calls by time.
func (r *Report) Timeline() *Timeline {
	b := &r.buckets
	if len(b.counts) == 0 {
		return nil
	}
	slots := max(b.max-b.min+1, fewestBars)
	t := &Timeline{Width: timelineWidth, Height: timelineHeight, Base: timelineBase, Step: durationText(widths[b.level])}
	for _, c := range b.counts {
		t.Top = max(t.Top, c.total())
	}
	w := float64(timelineWidth) / float64(slots)
	for _, key := range slices.Sorted(maps.Keys(b.counts)) {
		t.stack(float64(key-b.min)*w, w, b.label(key), b.counts[key])
	}
	for i, align := range []string{"start", "middle", "end"} {
		key := b.min + int64(i)*slots/2
		t.Ticks = append(t.Ticks, Tick{float64(i) * timelineWidth / 2, b.label(key), align})
	}
	return t
}

// stack puts denials lowest, where they are compared best.
func (t *Timeline) stack(x, w float64, label string, c *counts) {
	y := float64(timelineBase)
	for _, part := range []struct {
		n     int
		class string
	}{{c.Deny, "deny"}, {c.Error, "error"}, {c.Allow, "allow"}} {
		if part.n == 0 {
			continue
		}
		h := max(smallestBar, float64(part.n)/float64(t.Top)*(timelineBase-timelineTop-2*smallestBar))
		y -= h
		title := fmt.Sprintf("%s: %d allow, %d error, %d deny", label, c.Allow, c.Error, c.Deny)
		t.Bars = append(t.Bars, Bar{x, y, max(1, w-1), h, part.class, title})
	}
}

// label is when a bucket begins.
func (b *buckets) label(key int64) string {
	at := time.UnixMicro(key * widths[b.level]).UTC()
	switch width := widths[b.level]; {
	case width < 1e6:
		return at.Format("2006-01-02 15:04:05.000")
	case width < day:
		return at.Format("2006-01-02 15:04:05")
	}
	return at.Format("2006-01-02")
}

func durationText(micros int64) string {
	if micros >= day {
		return fmt.Sprintf("%d d", micros/day)
	}
	for _, unit := range []struct {
		micros int64
		name   string
	}{{3600e6, "h"}, {60e6, "min"}, {1e6, "s"}} {
		if micros >= unit.micros {
			return fmt.Sprintf("%d %s", micros/unit.micros, unit.name)
		}
	}
	return fmt.Sprintf("%d ms", micros/1e3)
}
