package bench

import "strconv"

// wrapper is what a sample runs its caller under.
type wrapper uint8

const (
	bare  wrapper = iota // nothing
	floor                // the C floor
	shim                 // the shim
)

// command is one side of a comparison.
type command struct {
	under wrapper
	mode  string // of run; empty: not given
	call  string // a kind of call of caller.c; empty: run true instead
	errno int    // what each call must fail with
	crowd bool   // many callers at once
}

// crowd is how many callers there are in the case of many, and maxUnfairness how many
// times more calls than the idlest the busiest of them may get done.
const (
	crowd         = 64
	maxUnfairness = 2
)

// measure is what is taken from a comparison and held against the bar.
type measure uint8

const (
	ratio      measure = iota // time of the subject / of the base
	speed                     // calls a second of the subject / of the base
	difference                // milliseconds of the subject - of the base
)

// comparison is one row: base and subject run in ABBA order.
type comparison struct {
	name, against string
	base, subject command
	measure       measure
	bar           float64 // 0: none, the row informs
	atLeast       bool    // the bar is a lower one
	note          string  // why the row is not judged though it has a bar
}

// notThroughRun: the case needs a policy file, which run does not take yet. The C
// program shows what the kernel charges; that is not a pass of ours.
const notThroughRun = "C filter program: not measured through run yet"

// The commands that others are compared with.
var (
	native     = command{call: "null"}
	nativeInfo = command{call: "info"}
	cContinue  = command{under: floor, mode: "continue", call: "null"}
	cForward   = command{under: floor, mode: "forward", call: "info"}
	cCaller    = command{under: floor, mode: "caller", call: "rt-null"}
)

// controls compare a thing with itself. What they show is the error of all the rest.
func controls() []comparison {
	return []comparison{
		{name: "A/A native, NULL info", against: "itself", base: native, subject: native},
		{name: "A/A native, siginfo", against: "itself", base: nativeInfo, subject: nativeInfo},
		{name: "A/A C forward", against: "itself", base: cForward, subject: cForward},
	}
}

// plan is the table of targets that processes can measure. A bar stands on what the
// same machine's kernel or C floor does in the same run, never on nanoseconds.
func plan() []comparison {
	crowded := func(under wrapper) command {
		return command{under: under, mode: "forward", call: "info", crowd: true}
	}
	return []comparison{
		{name: "native, SIGRTMIN, NULL info", against: "native", base: native, subject: command{call: "rt-null"}},
		{name: "C continue", against: "native", base: native, subject: cContinue},
		{name: "C forward", against: "native, siginfo", base: nativeInfo, subject: cForward},
		{
			name: "denial in the filter", against: "native", bar: 0.35, note: notThroughRun,
			base: native, subject: command{under: floor, mode: "errno", call: "null", errno: 1},
		},
		{
			name: "allow after reading arguments", against: "native", bar: 1.18, note: notThroughRun,
			base: native, subject: command{under: floor, mode: "allow-args", call: "null"},
		},
		{
			name: "allow in the filter, mode auto", against: "native", bar: 1.18,
			base: native, subject: command{under: shim, call: "null"},
		},
		{
			name: "unrelated system call", against: "one-instruction filter", bar: 1.02,
			base:    command{under: floor, mode: "allow-all", call: "getppid"},
			subject: command{under: shim, mode: "forward", call: "getppid"},
		},
		{
			name: "continue", against: "C continue", bar: 1.12,
			base: cContinue, subject: command{under: shim, mode: "continue", call: "null"},
		},
		{
			name: "forward, siginfo", against: "C forward", bar: 1.25,
			base: cForward, subject: command{under: shim, mode: "forward", call: "info"},
		},
		{
			name: "forward, NULL info", against: "C forward", bar: 1.1,
			base: cForward, subject: command{under: shim, mode: "forward", call: "rt-null"},
		},
		{
			name: "emulate, siginfo", against: "C forward", bar: 1.6,
			base: cForward, subject: command{under: shim, mode: "emulate", call: "info"},
		},
		{
			name: "caller mode under notify", against: "C", bar: 1.3,
			base: cCaller, subject: command{under: shim, mode: "caller", call: "rt-null"},
		},
		{
			name: "64 callers, calls a second", against: "C forward", bar: 0.85, atLeast: true, measure: speed,
			base: crowded(floor), subject: crowded(shim),
		},
		{
			name: "run -- true", against: "true", bar: 8, measure: difference,
			base: command{}, subject: command{under: shim},
		},
	}
}

// unmeasured are the targets that this benchmark does not touch, and why.
func unmeasured() []string {
	return []string{
		"forward with 100 rules and audit on: run takes no policy yet",
		"ptrace backend, and strace beside it: not built yet",
		"allocations a call: a Go benchmark of the packages",
	}
}

// argv is the command line of one sample.
func (c command) argv(p programs, s scale) []string {
	var argv []string
	switch c.under {
	case floor:
		argv = []string{p.floor, "run"}
	case shim:
		argv = []string{p.shim, "run"}
	}
	if c.mode != "" {
		argv = append(argv, "--mode", c.mode)
	}
	if c.under != bare {
		argv = append(argv, "--")
	}
	if c.call == "" {
		return append(argv, "true")
	}
	argv = append(argv, p.caller, "-e", strconv.Itoa(c.errno))
	if c.crowd {
		return append(argv, "-c", strconv.Itoa(crowd), "-t", strconv.Itoa(s.crowdMillis), c.call)
	}
	return append(argv, "-t", strconv.Itoa(s.millis), c.call)
}
