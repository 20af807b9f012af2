package main

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// way is one combination of --backend and --mode, and whether this kernel holds it.
type way struct {
	Backend   string `json:"backend"`
	Mode      string `json:"mode"`
	Available bool   `json:"available"`
	Family    bool   `json:"family"`          // gives process descriptors, which the kernel lacks
	Guard     string `json:"guard,omitempty"` // what keeps the target's number its own
	Why       string `json:"why"`
	Fidelity  string `json:"fidelity,omitempty"` // what a program may notice
}

// ways lists every combination, the one that `run` takes by itself first. traceable
// says whether PTRACE_SEIZE works here. The choices are supervisor's own, so that doctor
// cannot say anything else than run does.
func ways(f kernel.Features, o supervisor.Options, traceable bool) []way {
	all := []way{wayOf(f, o, traceable, "auto", "auto")}
	for _, backend := range []string{supervisor.BackendNotify, supervisor.BackendPtrace} {
		for _, mode := range supervisor.Modes[1:] {
			all = append(all, wayOf(f, o, traceable, backend, mode))
		}
	}
	return all
}

func wayOf(f kernel.Features, o supervisor.Options, traceable bool, backend, mode string) way {
	w := way{Backend: backend, Mode: mode}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		w.Why = "no procfs is mounted on /proc, of which run reads who is who: mount -t proc proc /proc"
		return w
	}
	o.Backend, o.Mode, o.Semantics = backend, mode, "native"
	o.Family = "auto"
	plan, err := o.Resolve(f)
	switch {
	case err != nil:
		w.Why = err.Error()
		if backend != supervisor.BackendPtrace && !f.Notify {
			w.Why = "no listener can be had: " + noListener()
		}
		return w
	case plan.Backend == supervisor.BackendPtrace && f.OldTraceOrder:
		w.Why = supervisor.OldTraceOrder
		return w
	case plan.CheckReach() != nil:
		w.Why = plan.CheckReach().Error()
		return w
	case plan.Backend == supervisor.BackendPtrace && !traceable:
		w.Why = "PTRACE_SEIZE does not work here: Yama, or a lack of privilege"
		return w
	}
	w.Backend, w.Available, w.Why, w.Family = plan.Backend, true, plan.Why, plan.Family
	w.Guard = guardOf(plan, traceable).String()
	w.Fidelity = fidelity[plan.Mode]
	if plan.Mode != emulate.ModeContinue && kernel.ProcessVMReadv() != nil {
		w.Fidelity = "process_vm_readv is refused, so EFAULT for a siginfo that userfaultfd is still to fill; else " + w.Fidelity
	}
	if plan.Unasked {
		w.Why += ": the filter lets it through"
	}
	if plan.Unsafe {
		w.Fidelity += "; UNSAFE: decided on what may have changed since"
	}
	return w
}

// guardOf is the strongest guard of a way, for a target that it works on.
func guardOf(p supervisor.Plan, traceable bool) shim.Guard {
	switch {
	case p.Mode == emulate.ModeContinue:
		return shim.GuardNone
	case p.Mode == emulate.ModeForward, p.Mode == emulate.ModeAuto && !traceable:
		return shim.GuardPidfd
	case p.Backend == supervisor.BackendPtrace:
		return shim.GuardTracee
	case traceable:
		return shim.GuardSeize
	}
	return shim.GuardNarrowed
}

// fidelity in a few words; docs/FIDELITY.md has them all.
var fidelity = map[emulate.Mode]string{
	emulate.ModeAuto:     "exact: signals with siginfo are forwarded, the caller itself sends the others",
	emulate.ModeContinue: "exact: the kernel runs the call",
	emulate.ModeForward:  "exact with siginfo; without, SI_QUEUE in the caller's name",
	emulate.ModeCaller:   "exact: the caller itself sends, while a tracer holds it",
	emulate.ModeEmulate:  "SI_QUEUE in the caller's name; no sender in nested pid namespaces",
}

// noListener says why there is none, with the way out where there is one.
func noListener() string {
	err := kernel.Listener()
	switch {
	case err == nil:
		return "switched off for this test"
	case errors.Is(err, unix.EBUSY):
		return "an outer supervisor holds one over us (EBUSY); run outside of it"
	case errors.Is(err, errors.ErrUnsupported):
		return "the kernel has no user notification (5.0)"
	}
	return err.Error()
}
