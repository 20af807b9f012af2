package metrics

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A family is what Prometheus calls all series of one name: it has a type and a sentence.
//
// Its text format is short enough to be written here. The usual client library costs each
// of our processes milliseconds of package initialisation before main, and run starts several.
type family struct {
	name, kind, help string

	mu     sync.Mutex
	series map[string]sample // by labels; guarded by mu
}

// The types of a family.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// sample is one series, which can write its lines.
type sample interface {
	writeTo(w io.Writer, name, labels string)
}

// count is a counter of ours.
type count struct{ atomic.Uint64 }

func (c *count) writeTo(w io.Writer, name, labels string) {
	fmt.Fprintf(w, "%s%s %d\n", name, braced(labels), c.Load())
}

// asked is a value that is asked for when somebody looks.
type asked func() float64

func (a asked) writeTo(w io.Writer, name, labels string) {
	fmt.Fprintf(w, "%s%s %s\n", name, braced(labels), number(a()))
}

// bounds are of the histogram of latencies, in seconds.
var bounds = [...]float64{2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 50e-3, 500e-3, 5}

// times is a histogram of durations.
type times struct {
	buckets [len(bounds) + 1]atomic.Uint64 // each without those below it; the last is +Inf
	sum     atomic.Int64                   // ns
}

func (t *times) observe(ns int64) {
	seconds := float64(ns) / 1e9
	i, _ := slices.BinarySearch(bounds[:], seconds) // bounds are inclusive
	t.buckets[i].Add(1)
	t.sum.Add(ns)
}

func (t *times) writeTo(w io.Writer, name, labels string) {
	total := uint64(0)
	for i := range t.buckets {
		total += t.buckets[i].Load()
		bound := "+Inf"
		if i < len(bounds) {
			bound = number(bounds[i])
		}
		fmt.Fprintf(w, "%s_bucket%s %d\n", name, braced(labels+`,le="`+bound+`"`), total)
	}
	fmt.Fprintf(w, "%s_sum%s %s\n", name, braced(labels), number(float64(t.sum.Load())/1e9))
	fmt.Fprintf(w, "%s_count%s %d\n", name, braced(labels), total)
}

func braced(labels string) string {
	if labels == "" {
		return ""
	}
	return "{" + labels + "}"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// labels writes pairs of a label and its value.
func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i] + `="` + escape.Replace(pairs[i+1]) + `"`)
	}
	return b.String()
}

// escape is what the text format asks for in a label's value.
var escape = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)

// get is the series with these labels, made at its first use.
func get[S sample](f *family, labels string, fresh func() S) S {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, ok := f.series[labels]; ok {
		return s.(S)
	}
	s := fresh()
	f.series[labels] = s
	return s
}

// ask adds a series whose value is asked for.
func (f *family) ask(labels string, value func() float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.series[labels] = asked(value)
}

func (f *family) writeTo(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
	for _, labels := range slices.Sorted(maps.Keys(f.series)) {
		f.series[labels].writeTo(w, f.name, labels)
	}
}

type families struct {
	mu  sync.Mutex
	all []*family // guarded by mu
}

func (f *families) add(name, kind, help string) *family {
	one := &family{name: name, kind: kind, help: help, series: map[string]sample{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, one)
	return one
}

// text is everything in Prometheus's text format, families in the order of their names.
func (f *families) text() string {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	slices.SortFunc(all, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	var text strings.Builder
	for _, one := range all {
		one.writeTo(&text)
	}
	return text.String()
}
