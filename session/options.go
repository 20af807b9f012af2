package session

import (
	"fmt"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/kernel"
)

// Options are the flags of run that the supervisor acts on, in the words of the
// command line.
type Options struct {
	Backend   string // auto, notify
	Mode      string // auto, continue, forward, emulate
	Semantics string // native, mainline, original
	Observed  bool   // somebody wants to see every call: nothing is decided in the filter
}

// The backends by name.
const (
	BackendNotify = "notify"
	BackendPtrace = "ptrace"
)

// The words that flags take, in the order in which help lists them.
var (
	Backends  = []string{"auto", "notify", "ptrace"}
	Modes     = []string{"auto", "continue", "forward", "caller", "emulate"}
	Semantics = []string{"native", "mainline", "original"}
)

// Check finds words that no flag takes, and choices that exclude each other.
func (o Options) Check() error {
	for _, f := range []struct {
		flag, value string
		words       []string
	}{
		{"--backend", o.Backend, Backends},
		{"--mode", o.Mode, Modes},
		{"--semantics", o.Semantics, Semantics},
	} {
		if !contains(f.words, f.value) {
			return fmt.Errorf("%s %s: no such value, it takes %s", f.flag, f.value, strings.Join(f.words, ", "))
		}
	}
	return nil
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

// Plan is what Options come to on a kernel.
type Plan struct {
	Backend string
	Mode    emulate.Mode
	Rules   emulate.Rules
	Why     string // one line for the log and doctor

	// Unasked lets the filter allow every call: auto where nothing is to be decided.
	Unasked bool
}

// Resolve chooses, or says why a choice cannot be had here.
func (o Options) Resolve(f kernel.Features) (Plan, error) {
	p := Plan{Rules: emulate.NativeRules(f)}
	switch o.Semantics {
	case "mainline":
		p.Rules = emulate.Mainline
	case "original":
		p.Rules = emulate.Original
	}
	p.Backend = o.Backend
	if p.Backend == "auto" {
		p.Backend = BackendNotify
		if !f.Notify {
			p.Backend = BackendPtrace
		}
	}
	if p.Backend == BackendNotify && !f.Notify {
		return p, fmt.Errorf("--backend notify: this kernel has no seccomp user notification (Linux 5.0), or an outer listener holds it: use --backend ptrace; `pidfd-shim doctor` says more")
	}
	if p.Backend == BackendPtrace {
		f.Continue = true // resuming a tracee is that
	}
	ownRules := p.Rules == emulate.NativeRules(f)
	switch o.Mode {
	case "continue":
		return o.resolveContinue(p, f, ownRules)
	case "forward":
		if !f.SendSignal {
			return p, fmt.Errorf("--mode forward: this kernel lacks pidfd_send_signal (Linux 5.1): use --mode emulate")
		}
		p.Mode, p.Why = emulate.ModeForward, "asked for"
	case "caller":
		p.Mode, p.Why = emulate.ModeCaller, "asked for"
	case "emulate":
		p.Mode, p.Why = emulate.ModeEmulate, "asked for"
	default:
		return o.resolveAuto(p, f, ownRules), nil
	}
	return p, nil
}

func (o Options) resolveContinue(p Plan, f kernel.Features, ownRules bool) (Plan, error) {
	switch {
	case !f.SendSignal:
		return p, fmt.Errorf("--mode continue: this kernel lacks pidfd_send_signal (Linux 5.1): use --mode emulate")
	case !f.Continue:
		return p, fmt.Errorf("--mode continue: this kernel cannot continue a notified call (Linux 5.5): use --mode forward")
	case !ownRules:
		return p, fmt.Errorf("--mode continue: the kernel runs the call by its own rules: it excludes --semantics %s here", o.Semantics)
	}
	p.Mode, p.Why = emulate.ModeContinue, "asked for"
	return p, nil
}

// resolveAuto takes the cheapest way that is exact.
func (o Options) resolveAuto(p Plan, f kernel.Features, ownRules bool) Plan {
	switch {
	case p.Backend == BackendPtrace:
		p.Mode, p.Why = emulate.ModeCaller, "a tracee can make the call itself"
	case ownRules && f.SendSignal && (f.Continue || !o.Observed):
		p.Mode, p.Why, p.Unasked = emulate.ModeContinue, "the kernel has the call and nothing is denied", true
	case f.SendSignal:
		p.Mode, p.Why = emulate.ModeCaller, "the kernel has the call, but cannot continue a notified one or has other rules"
	default:
		p.Mode, p.Why = emulate.ModeCaller, "the kernel lacks pidfd_send_signal, and a caller can be made to run its older relatives"
	}
	return p
}
