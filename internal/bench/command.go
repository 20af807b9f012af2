package bench

import (
	"os"
	"os/exec"
	"strconv"
)

// wrapper is what a sample runs its caller under.
type wrapper uint8

const (
	bare    wrapper = iota // nothing
	floor                  // the C floor
	tracer                 // the C floor of tracing
	proot                  // proot, which translates paths
	strace                 // strace, which only looks
	version                // nothing: the shim says its version
	shim                   // the shim

	firstJudged = strace // whoever comes before it says nothing of the shim
)

// program is a peer's name in PATH.
func (w wrapper) program() string {
	if w == strace {
		return "strace"
	}
	return "proot"
}

func installed(peer wrapper) bool {
	_, err := exec.LookPath(peer.program())
	return err == nil
}

// command is one side of a comparison.
type command struct {
	under wrapper
	mode  string // of run; empty: not given
	trace bool   // run's --backend ptrace
	rules string // run's --policy: a name of policies
	audit bool   // run's --audit
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

// argv is the command line of one sample.
func (c command) argv(p programs, s scale) []string {
	var argv []string
	switch c.under {
	case floor:
		argv = []string{p.floor, "run"}
	case tracer:
		argv = []string{p.tracer, "run"}
	case strace:
		argv = []string{strace.program(), "-f", "--seccomp-bpf", "-e", "trace=pidfd_send_signal", "-o", os.DevNull}
	case proot:
		argv = []string{proot.program()}
	case version:
		return []string{p.shim, "version"}
	case shim:
		argv = append([]string{p.shim, "run"}, c.flags(p)...)
	}
	if c.mode != "" {
		argv = append(argv, "--mode", c.mode)
	}
	if c.under != bare && c.under != proot {
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

// flags are those of run that the floors do not have.
func (c command) flags(p programs) (words []string) {
	if c.trace {
		words = append(words, "--backend", "ptrace")
	}
	if c.rules != "" {
		words = append(words, "--policy", p.policy(c.rules))
	}
	if c.audit {
		words = append(words, "--audit="+os.DevNull)
	}
	return words
}
