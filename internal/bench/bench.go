package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Options say what is measured and how long.
type Options struct {
	Shim  string // path of pidfd-shim, or StandIn
	Quick bool   // a tenth of the samples
}

// scale is how much is measured.
type scale struct {
	rounds      int // ABBA rounds of each comparison: two samples a side
	millis      int // length of a sample
	crowdMillis int // the same for many callers, who need time to come round
	calls       int // of the memory case
}

var (
	full  = scale{rounds: 25, millis: 15, crowdMillis: 100, calls: 1_000_000}
	quick = scale{rounds: 5, millis: 10, crowdMillis: 50, calls: 200_000}
)

// Run measures. An error means that nothing useful came out; a comparison that could
// not be measured is a row with the reason.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Quick {
		return run(ctx, o.Shim, quick)
	}
	return run(ctx, o.Shim, full)
}

func run(ctx context.Context, shim string, s scale) (*Report, error) {
	dir, err := os.MkdirTemp("", "pidfd-shim-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	p, err := build(ctx, dir, shim)
	if err != nil {
		return nil, err
	}
	raisePending()
	m := &measuring{programs: p, scale: s}
	for _, c := range append(controls(), plan()...) {
		m.results = append(m.results, &result{comparison: c})
	}
	done := make(chan error)
	go func() {
		// The thread's affinity and nice value are ours now: it ends with the goroutine.
		runtime.LockOSThread()
		done <- m.measure(ctx)
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return m.report(shim), nil
}

// result is a comparison with its samples.
type result struct {
	comparison
	pinned, unpinned outcome
	err              error
}

// outcome is the samples of one placement, by cost and by unfairness.
type outcome struct {
	costs, unfairness series
}

// measuring is one run of the benchmark.
type measuring struct {
	programs programs
	scale    scale
	place    *placement
	results  []*result
	memory   sample
	memErr   error
	looks    int // how often we looked at the machine's load
	loaded   int // how often others were running
}

// unpinnedEvery: no bar stands on a figure that is not pinned, and the time goes to those.
const unpinnedEvery = 5

// measure goes through all comparisons in each round, so that a noisy minute falls on
// all of them.
func (m *measuring) measure(ctx context.Context) error {
	var err error
	if m.place, err = newPlacement(); err != nil {
		return err
	}
	for i := range m.scale.rounds {
		for _, r := range m.results {
			m.round(ctx, r, true, &r.pinned)
			if i%unpinnedEvery == 0 {
				m.round(ctx, r, false, &r.unpinned)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		if err := m.results[0].err; err != nil {
			return fmt.Errorf("measure the native call: %w", err)
		}
	}
	if err := m.place.pin(true); err != nil {
		return err
	}
	argv := []string{m.programs.shim, "run", "--mode", "forward", "--", m.programs.caller, "-n", fmt.Sprint(m.scale.calls), "info"}
	m.memory, m.memErr = take(ctx, argv, true)
	return ctx.Err()
}

// round adds one ABBA quadruple to o. A comparison that failed once is left alone.
func (m *measuring) round(ctx context.Context, r *result, pinned bool, o *outcome) {
	if r.err != nil {
		return
	}
	if r.err = m.place.pin(pinned); r.err != nil {
		return
	}
	var samples [4]sample
	for i, c := range []command{r.base, r.subject, r.subject, r.base} {
		m.look()
		samples[i], r.err = take(ctx, c.argv(m.programs, m.scale), c.call != "")
		if r.err != nil {
			return
		}
	}
	o.costs = append(o.costs, abba(samples, sample.cost))
	o.unfairness = append(o.unfairness, abba(samples, sample.unfairness))
}

// abba is the round that four samples make by one of their figures.
func abba(s [4]sample, figure func(sample) float64) round {
	return round{
		base:    [2]float64{figure(s[0]), figure(s[3])},
		subject: [2]float64{figure(s[1]), figure(s[2])},
	}
}

func (m *measuring) look() {
	m.looks++
	if othersRun() {
		m.loaded++
	}
}

// quiet: others ran in less than half of our looks.
func (m *measuring) quiet() bool { return m.loaded*2 < m.looks }
