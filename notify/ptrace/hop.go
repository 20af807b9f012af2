package ptrace

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
	"github.com/pidfd-shim/pidfd-shim/shim"
	"github.com/pidfd-shim/pidfd-shim/tracee"
)

// Hopper makes a caller that waits in a notification run another call in its place. Hold
// seizes the caller, which from then on stops for us at whatever ends its wait; Run gives
// the call, after which the notification is answered, and Finish waits for what comes of
// it. The caller stops before it runs any code of its own, whether the answer reached it
// or a signal made it leave the wait first, and is made to execute its call instruction
// again with other registers. The tracer is the worker's own thread.
type Hopper struct {
	Set *tracee.Set

	worker *shim.Worker
	caller int32
	abi    arch.ABI
	ip     uint64
	call   shim.Rewrite
}

// holdOptions have the caller die with us: between its two stops it has another call's
// registers, and every signal blocked.
const holdOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL

// Hold seizes the caller: false where it is traced already or may not be.
func (h *Hopper) Hold(c *shim.Call) bool {
	h.worker, h.caller, h.abi, h.ip = c.Worker(), c.Tid, c.ABI, c.Frame.IP
	if h.worker.Crowded() {
		return false
	}
	h.worker.EnterWait()
	defer h.worker.Leave()
	return h.Set.Seize(h.caller, holdOptions) == 0
}

// Run implements shim.Runner: the caller is to stop before it gets back to its own code.
// Not before: where the wait is not killable it ends the wait, and nobody could tell any
// more whether something else had ended it before.
//
// Precondition: Hold said held, and the caller was seen waiting afterwards.
func (h *Hopper) Run(call shim.Rewrite) error {
	h.call = call
	_ = h.Set.Interrupt(h.caller) // a dead one is seen by Finish
	return nil
}

// Finish implements shim.Runner.
func (h *Hopper) Finish() error {
	h.worker.EnterWait() // a frozen caller does not come
	defer h.worker.Leave()
	if !h.run() {
		return shim.ErrGone
	}
	return nil
}

// Drop has the caller let go by Set.LetGo: nothing is run.
func (h *Hopper) Drop() { h.Set.Forgo(h.caller) }

// await is the caller's next stop; not alive: it has ended.
func (h *Hopper) await() (what event, sig unix.Signal, alive bool) {
	status, alive := h.Set.Wait(h.caller)
	if !alive {
		return eventExited, 0, false
	}
	what, sig = classify(status)
	return what, sig, true
}

// detach lets the caller go, with the signal that it was about to take.
func (h *Hopper) detach(what event, sig unix.Signal) {
	if what != eventSignal {
		sig = 0
	}
	h.Set.Detach(h.caller, sig)
}

// run is the hop. At the first stop the caller is on its way out of the wait, with the
// answer or with a restart in rax; its instruction pointer says that it has not been
// anywhere else since. False: it was interrupted before anything was sent.
func (h *Hopper) run() (ran bool) {
	what, sig, alive := h.await()
	if !alive {
		return true // nobody is left to ask again
	}
	var before arch.Regs
	if what == eventSignal || getRegs(h.caller, &before) != 0 || before[arch.RegRIP] != h.ip {
		// A signal came first and is yet to be delivered, or its handler was entered.
		h.detach(what, sig)
		return false
	}
	if h.enter(&before) && h.leave(&before) {
		h.detach(eventSyscall, 0)
	}
	return true
}

// callInstruction is the length of syscall, sysenter and int $0x80 alike.
const callInstruction = 2

// enter makes the caller execute its call instruction again, up to the stop at the
// call's entry. Signals wait meanwhile, as they would have for the call.
func (h *Hopper) enter(before *arch.Regs) bool {
	var mask uint64
	_ = sigmask(unix.PTRACE_GETSIGMASK, h.caller, &mask)
	everything := ^uint64(0)
	_ = sigmask(unix.PTRACE_SETSIGMASK, h.caller, &everything)
	regs := *before
	regs[arch.RegRIP] = h.ip - callInstruction
	regs[arch.RegRAX] = h.call.Nr
	regs[arch.RegOrigRAX] = ^uint64(0) // no restart of the call that was
	order := amd64.ArgumentRegs
	if h.abi == arch.I386 {
		order = i386.ArgumentRegs
	}
	regs.Place(order, h.call.Args)
	_ = setRegs(h.caller, &regs)
	alive := h.toSyscallStop()
	if !alive {
		return false
	}
	// What was decided must be what is about to run: the instruction is in memory that
	// others may share.
	var at arch.Regs
	if getRegs(h.caller, &at) != 0 || uint32(at[arch.RegOrigRAX]) != uint32(h.call.Nr) || at.Pick(order) != h.call.Args {
		_ = request(unix.PTRACE_POKEUSR, h.caller, arch.RegOrigRAX*8, ^uintptr(0))
	}
	_ = sigmask(unix.PTRACE_SETSIGMASK, h.caller, &mask)
	return true
}

// leave lets the call run and puts the caller back as it was, with its result.
func (h *Hopper) leave(before *arch.Regs) bool {
	if !h.toSyscallStop() {
		return false
	}
	var after arch.Regs
	if getRegs(h.caller, &after) == 0 {
		regs := *before
		regs[arch.RegRAX] = after[arch.RegRAX]
		regs[arch.RegOrigRAX] = ^uint64(0)
		_ = setRegs(h.caller, &regs)
	}
	return true
}

// toSyscallStop resumes the caller until its next entry or exit of a call. Only SIGSTOP
// and SIGKILL get through in between.
func (h *Hopper) toSyscallStop() bool {
	sig := unix.Signal(0)
	for {
		if request(unix.PTRACE_SYSCALL, h.caller, 0, uintptr(sig)) != 0 {
			h.detach(eventSyscall, 0) // killed in its stop
			return false
		}
		what, s, alive := h.await()
		if !alive || what == eventSyscall {
			return alive
		}
		sig = 0
		if what == eventSignal {
			sig = s
		}
	}
}
