package main

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/kernel"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// way is one combination of --backend and --mode, and whether this kernel holds it.
type way struct {
	Backend   string `json:"backend"`
	Mode      string `json:"mode"`
	Available bool   `json:"available"`
	Guard     string `json:"guard,omitempty"` // what keeps the target's number its own
	Why       string `json:"why"`
}

// ways lists every combination, the one that `run` takes by itself first. pinned
// says whether a target can be held by PTRACE_SEIZE.
func ways(f kernel.Features, pinned bool) []way {
	all := []way{autoWay(f, pinned), continueWay(f), forwardWay(f), emulateWay(pinned)}
	for i := range all {
		all[i].Backend = "notify"
		if !f.Notify {
			all[i].Available, all[i].Guard, all[i].Why = false, "", "no listener can be had: "+noListener()
		}
	}
	return all
}

func autoWay(f kernel.Features, pinned bool) way {
	w := way{Mode: "auto", Available: true, Guard: shim.GuardPidfd.String()}
	switch {
	case !f.SendSignal:
		w.Guard = numberGuard(pinned).String()
		w.Why = "emulate: the kernel does not have the call"
	case f.Continue:
		w.Why = "continue where nothing that can still change decides, else forward"
	default:
		w.Why = "forward: the kernel cannot be told to go on with a call"
	}
	return w
}

func continueWay(f kernel.Features) way {
	w := way{Mode: "continue", Guard: shim.GuardNone.String()}
	switch {
	case !f.SendSignal:
		w.Why = "the kernel does not have the call"
	case !f.Continue:
		w.Why = "the kernel does not have FLAG_CONTINUE"
	default:
		w.Available, w.Why = true, "the kernel runs each call in its caller, which needs no guard"
	}
	return w
}

func forwardWay(f kernel.Features) way {
	if !f.SendSignal {
		return way{Mode: "forward", Why: "the kernel does not have the call"}
	}
	w := way{Mode: "forward", Available: true, Guard: shim.GuardPidfd.String()}
	w.Why = "the caller's descriptor by pidfd_getfd, sent through it"
	if !f.Getfd {
		w.Why = "the caller's descriptor reopened by way of /proc, sent through it"
	}
	return w
}

func emulateWay(pinned bool) way {
	w := way{Mode: "emulate", Available: true, Guard: numberGuard(pinned).String()}
	w.Why = "by number, its owner held by PTRACE_SEIZE"
	if !pinned {
		w.Why = "by number, looked at before each send: targets cannot be traced here"
	}
	return w
}

func numberGuard(pinned bool) shim.Guard {
	if pinned {
		return shim.GuardSeize
	}
	return shim.GuardNarrowed
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
