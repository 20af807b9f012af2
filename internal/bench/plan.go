package bench

import "slices"

// measure is what is taken from a comparison and held against the bar.
type measure uint8

const (
	ratio      measure = iota // time of the subject / of the base
	speed                     // calls a second of the subject / of the base
	difference                // milliseconds of the subject - of the base
	whole                     // milliseconds of the subject
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

// The commands that others are compared with.
var (
	native     = command{call: "null"}
	nativeInfo = command{call: "info"}
	cContinue  = command{under: floor, mode: "continue", call: "null"}
	cForward   = command{under: floor, mode: "forward", call: "info"}
	cCaller    = command{under: floor, mode: "caller", call: "usr-null"}
	cTracer    = command{under: tracer, mode: "forward", call: "info"}
	cRewriting = command{under: tracer, mode: "caller", call: "rt-null"}
	cGuarded   = command{under: floor, mode: "emulate", call: "info"}
	cOwn       = command{under: floor, mode: "continue", call: "usr-null"}
	cTracedOwn = command{under: tracer, mode: "continue", call: "rt-null"}
	cAllowAll  = command{under: floor, mode: "allow-all", call: "getppid"}
	ourTracer  = command{under: shim, mode: "forward", trace: true, call: "info"}
)

// does says in a sentence what a base does for one call, or in one run.
func (c command) does() string {
	c.crowd = false // each of many does the same
	switch c {
	case native, nativeInfo:
		return "the kernel runs the call, no filter is there"
	case cContinue, cOwn:
		return "receives the notification and has the kernel run the call"
	case cForward:
		return "receives it, copies the descriptor (the caller's pidfd is kept) and 128 bytes of siginfo, asks whether the call still waits, sends, closes, answers; checks nothing"
	case cGuarded:
		return "does as C forward, and asks for the ids of both, reads in /proc whether the target drops the signal, and sees that it is still the same"
	case cCaller:
		return "copies the descriptor, seizes caller and target, answers, has the stopped caller run kill instead, puts its registers back, lets go of both"
	case cTracer:
		return "traces all tasks, takes the call at its stop, copies descriptor and siginfo, sends, skips the call; lets the target's stop for the signal pass"
	case cTracedOwn:
		return "traces all tasks, takes the call at its stop and has the kernel run it"
	case cRewriting:
		return "traces all tasks, rewrites the call into kill with the target's number, and puts the registers back at its exit"
	case cAllowAll:
		return "has a filter of one instruction, which allows"
	case ourTracer:
		return "is ours: the row compares a peer"
	case command{}:
		return "executes true and waits for it"
	}
	return ""
}

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
	return slices.Concat(inTheKernel(), notified(), policedKills(), traced(), peers(), crowds(), starts())
}

// inTheKernel are the floors themselves, and calls that no supervisor sees.
func inTheKernel() []comparison {
	return []comparison{
		{name: "native, SIGRTMIN, NULL info", against: "native", base: native, subject: command{call: "rt-null"}},
		{name: "C continue", against: "native", base: native, subject: cContinue},
		{name: "C forward", against: "native, siginfo", base: nativeInfo, subject: cForward},
		{
			name: "denial by a rule about registers", against: "native", bar: 0.35,
			base: native, subject: command{under: shim, rules: "deny", call: "null", errno: 1},
		},
		{
			name: "allow by rules about registers", against: "native", bar: 1.18,
			base: native, subject: command{under: shim, rules: "allow", call: "null"},
		},
		{
			name: "allow in the filter, mode auto", against: "native", bar: 1.18,
			base: native, subject: command{under: shim, call: "null"},
		},
		{
			name: "unrelated system call", against: "one-instruction filter", bar: 1.02,
			base:    cAllowAll,
			subject: command{under: shim, mode: "forward", call: "getppid"},
		},
	}
}

// notified are calls that the supervisor answers.
func notified() []comparison {
	return []comparison{
		{
			name: "continue", against: "C continue", bar: 1.12,
			base: cContinue, subject: command{under: shim, mode: "continue", call: "null"},
		},
		{
			name: "forward, siginfo", against: "C forward", bar: 1.25,
			base: cForward, subject: command{under: shim, mode: "forward", call: "info"},
		},
		{
			name: "forward, NULL info", against: "C forward", bar: 1.15,
			base: cForward, subject: command{under: shim, mode: "forward", call: "rt-null"},
		},
		{
			name: "forward, 100 rules, audit", against: "C forward", bar: 1.4,
			base: cForward, subject: command{under: shim, mode: "forward", rules: "hundred", audit: true, call: "info"},
		},
		{
			name: "emulate, siginfo", against: "C, same guard", bar: 1.3,
			base: cGuarded, subject: command{under: shim, mode: "emulate", call: "info"},
		},
		{
			name: "caller mode under notify", against: "C continue", bar: 1.3,
			base: cOwn, subject: command{under: shim, mode: "caller", call: "usr-null"},
		},
	}
}

// policedKills are judged by their target.
func policedKills() []comparison {
	return []comparison{
		{
			name: "policed kill, signal 0", against: "C forward", bar: 1.3,
			base: cForward, subject: command{under: shim, rules: "target", call: "kill-null"},
		},
		{
			name: "policed kill of the caller", against: "C continue", bar: 1.3,
			base: cContinue, subject: command{under: shim, rules: "target", call: "kill-own"},
		},
		{
			name: "policed SIGKILL", against: "C forward", bar: 1.3,
			base: cForward, subject: command{under: shim, rules: "target", call: "kill-kill"},
		},
		{
			name: "policed SIGSTOP", against: "C forward", bar: 1.3,
			base: cForward, subject: command{under: shim, rules: "target", call: "kill-stop"},
		},
		{
			name: "policed kill, target pinned", against: "C caller", bar: 1.3,
			base: cCaller, subject: command{under: shim, rules: "target", call: "kill-usr"},
		},
	}
}

// traced are calls of the ptrace backend.
func traced() []comparison {
	return []comparison{
		{
			name: "ptrace, mode forward", against: "C ptrace", bar: 1.3,
			base: cTracer, subject: ourTracer,
		},
		{
			name: "ptrace, mode caller", against: "C ptrace, continue", bar: 1.3,
			base: cTracedOwn, subject: command{under: shim, mode: "caller", trace: true, call: "rt-null"},
		},
		{
			name: "ptrace, policed kill", against: "C ptrace, rewriting", bar: 1.3,
			base: cRewriting, subject: command{under: shim, trace: true, rules: "target", call: "kill-usr"},
		},
	}
}

// peers are other programs that stand between a program and its calls, where they are
// installed. Ours is held against the first; the other informs.
func peers() (rows []comparison) {
	if installed(strace) {
		rows = append(rows, comparison{
			name: "strace --seccomp-bpf", against: "ptrace, mode forward", bar: 2, atLeast: true,
			base: ourTracer, subject: command{under: strace, call: "info"},
		})
	}
	if installed(proot) {
		rows = append(rows, comparison{
			name: "proot", against: "ptrace, mode forward", base: ourTracer, subject: command{under: proot, call: "info"},
		})
	}
	return rows
}

// crowds are many callers.
func crowds() []comparison {
	crowded := func(under wrapper) command {
		return command{under: under, mode: "forward", call: "info", crowd: true}
	}
	return []comparison{
		{
			name: "64 callers, calls a second", against: "C forward", bar: 0.85, atLeast: true, measure: speed,
			base: crowded(floor), subject: crowded(shim),
		},
	}
}

// starts are what a user waits for before anything happens.
func starts() []comparison {
	return []comparison{
		{
			name: "run -- true", against: "true", bar: 4, measure: difference,
			base: command{}, subject: command{under: shim},
		},
		{
			name: "run --backend ptrace -- true", against: "true", measure: difference,
			base: command{}, subject: command{under: shim, trace: true},
		},
		{
			name: "version", against: "true", bar: 1.5, measure: whole,
			base: command{}, subject: command{under: version},
		},
	}
}

// unmeasured are the targets that this benchmark does not touch, and why.
func unmeasured() []string {
	missing := []string{"allocations a call: a Go benchmark of the packages"}
	for _, peer := range []wrapper{strace, proot} {
		if !installed(peer) {
			missing = append(missing, peer.program()+": not installed")
		}
	}
	return missing
}
