package supervisor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Options are the flags of run that the supervisor acts on, in the words of the
// command line.
type Options struct {
	Backend   string // auto, notify
	Mode      string // auto, continue, forward, emulate
	Semantics string // native, mainline, original
	Family    string // auto, on, off: descriptors where the kernel has none; empty is off
	Intercept string // auto, entry: past a sandbox that answers first; empty is auto
	OnTrap    string // signal, enosys: what a call gets that it traps; empty is signal
	Observed  bool   // somebody wants to see every call: nothing is decided in the filter
	Results   bool   // and what it returns, also where the caller itself carries it out

	PolicyFile     string // read by LoadPolicy
	Complain       bool   // what the policy denies is allowed, and noted
	UnsafeContinue bool   // the kernel may run calls although a rule cannot be enforced so

	policy *policy.Policy
}

// LoadPolicy reads the policy file, if there is one. Resolve and New go by it.
func (o *Options) LoadPolicy() (err error) {
	if o.PolicyFile != "" {
		o.policy, err = policy.Load(o.PolicyFile)
	}
	if err == nil && o.policy != nil && o.Complain {
		o.policy = o.policy.Complaining()
	}
	return err
}

// SetPolicy is LoadPolicy for one that has been read already.
func (o *Options) SetPolicy(p *policy.Policy) { o.policy = p }

// mutable lists what the policy asks that can change before the kernel looks.
func (o Options) mutable() []string {
	if o.policy == nil {
		return nil
	}
	return o.policy.Mutable()
}

// siblings tells whether the policy names older calls than pidfd_send_signal, too.
func (o Options) siblings() bool {
	return o.policy != nil && slices.ContainsFunc(o.policy.Syscalls(), func(s arch.Syscall) bool { return s != arch.PidfdSendSignal })
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
	Families  = []string{"auto", "on", "off"}

	Intercepts = []string{"auto", "entry"}
	OnTraps    = []string{"signal", "enosys"}
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
		{"--family", cmp.Or(o.Family, "off"), Families},
		{"--intercept", cmp.Or(o.Intercept, "auto"), Intercepts},
		{"--on-trap", cmp.Or(o.OnTrap, "signal"), OnTraps},
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

	// Family gives process descriptors where the kernel has none.
	Family bool

	// Entries, Traps and Enosys are the ways past a sandbox: see ptrace.Sandbox.
	Entries, Traps, Enosys bool

	// Unasked lets the filter allow what registers allow: auto where the kernel has the call.
	Unasked bool

	// Unsafe says that the kernel runs calls although the policy cannot be enforced so.
	Unsafe bool
}

// Resolve chooses, or says why a choice cannot be had here.
func (o Options) Resolve(f kernel.Features) (Plan, error) {
	p := o.pastSandbox(f)
	family := o.Family == "on" || o.Family == "auto" && !f.PidfdOpen && p.sees(f.OpenFirst)
	if p.Backend = o.Backend; p.Backend == "auto" {
		p.Backend = BackendNotify
		if !f.Notify || family || p.Entries || p.Traps {
			p.Backend = BackendPtrace
		}
	}
	if p.Backend == BackendNotify && (p.Entries || p.Enosys) {
		return p, fmt.Errorf("--intercept entry, --on-trap enosys: only a tracer can get past a sandbox: use --backend ptrace")
	}
	if p.Entries {
		f.SendSignal = false // the sandbox has it
	}
	if p.Family = family && p.Backend == BackendPtrace; p.Family {
		f.SendSignal = false // it takes none of ours
	}
	p.Rules = emulate.NativeRules(f)
	switch o.Semantics {
	case "mainline":
		p.Rules = emulate.Mainline
	case "original":
		p.Rules = emulate.Original
	}
	if p.Backend == BackendNotify && o.Family == "on" {
		return p, fmt.Errorf("--family on: only a tracer can give process descriptors: use --backend ptrace")
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
	case len(o.mutable()) > 0 && !o.UnsafeContinue:
		return p, fmt.Errorf("--mode continue: %s: %s, which can change before the kernel looks: use another mode, or --unsafe-continue", o.PolicyFile, o.mutable()[0])
	}
	p.Mode, p.Why, p.Unsafe = emulate.ModeContinue, "asked for", len(o.mutable()) > 0
	return p, nil
}

// resolveAuto takes the cheapest way that is exact.
func (o Options) resolveAuto(p Plan, f kernel.Features, ownRules bool) Plan {
	switch {
	case p.Backend == BackendPtrace:
		p.Mode, p.Why = emulate.ModeCaller, "a tracee can make the call itself"
	case len(o.mutable()) > 0 && ownRules && f.SendSignal && f.Continue:
		p.Mode, p.Why, p.Unasked = emulate.ModeAuto, "the policy asks what can change: signals with siginfo are forwarded, others sent by the caller itself", true
	case len(o.mutable()) > 0:
		p.Mode, p.Why = emulate.ModeCaller, "the policy asks what can change, and the caller itself can send"
	case ownRules && f.SendSignal && (f.Continue || !o.Observed && o.policy == nil):
		p.Mode, p.Why, p.Unasked = emulate.ModeContinue, "the kernel has the call and nothing is denied that registers do not tell", true
	case f.SendSignal:
		p.Mode, p.Why = emulate.ModeCaller, "the kernel has the call, but cannot continue a notified one or has other rules"
	default:
		p.Mode, p.Why = emulate.ModeCaller, "the kernel lacks pidfd_send_signal, and a caller can be made to run its older relatives"
	}
	return p
}
