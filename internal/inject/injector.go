package inject

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Injector makes a caller that waits in a notification run another call in its place. Hold
// seizes the caller, which from then on stops for us at whatever ends its wait; Run gives
// the call, after which the notification is answered, and Finish waits for what comes of
// it. The caller stops before it runs any code of its own, whether the answer reached it
// or a signal made it leave the wait first, and is made to execute its call instruction
// again with other registers. The tracer is the worker's own thread.
//
// Nothing happens to the caller if the tracer dies before it has other registers: it waits
// on, or the answer says that it is to call again (notify.CallAgain).
type Injector struct {
	Set  *tracee.Set
	Pins *tracee.Pins

	// Between, if not nil, is called between the steps: tests only.
	Between func(Step)

	worker *shim.Worker
	caller int32
	target *tracee.Pin // nil: not pinned
	abi    arch.ABI
	ip     uint64
	call   shim.Rewrite
	result shim.Result
	mask   uint64 // the caller's, while it runs that
}

// Step is a place between two steps of an injection.
type Step uint8

// The places, in their order.
const (
	Asked       Step = iota // nobody is seized yet
	Seized                  // the caller waits, and would stop
	Interrupted             // it stops as soon as it has an answer, or has stopped
	Answered                // its wait is over, the registers are its own
	Borrowed                // resumed with another call's registers
	Entered                 // stopped at the entry of that call
	Running                 // resumed from there
	Restored                // it has its registers and its result, and is stopped
)

// Steps are their names.
var Steps = [...]string{"asked", "seized", "interrupted", "answered", "borrowed", "entered", "running", "restored"}

func (h *Injector) at(s Step) {
	if h.Between != nil {
		h.Between(s)
	}
}

// Hold implements emulate.Injector.
func (h *Injector) Hold(c *shim.Call, target int32) (held, pinned bool) {
	h.worker = c.Worker()
	if h.worker.Crowded() {
		return false, false
	}
	h.worker.EnterWait()
	defer h.worker.Leave()
	h.abi, h.ip = c.ABI, c.Frame.IP
	return h.hold(c.Tid, target)
}

// hold can wait for a task that is in an execve of its own. Where there are no more tasks for a pin,
// or the target has to be pinned and cannot be, the caller is not seized either: it would be let go
// of without having done anything, and may be in its next call by then, whose answer it and we would
// wait for.
//
// A target below 0 is one that has to be pinned.
func (h *Injector) hold(caller, target int32) (held, pinned bool) {
	h.caller, h.target = caller, nil
	h.at(Asked)
	if target != 0 {
		pin, errno := h.Pins.Pin(max(target, -target))
		if errno == unix.EAGAIN || errno != 0 && target < 0 {
			return false, false
		}
		h.target = pin
	}
	if h.Set.Seize(caller, unix.PTRACE_O_TRACESYSGOOD) != 0 {
		h.unpin()
		return false, false
	}
	h.at(Seized)
	return true, h.target != nil
}

// Run implements shim.Runner: the caller is to stop before it gets back to its own code.
// Not before: where the wait is not killable it ends the wait, and nobody could tell any
// more whether something else had ended it before.
//
// Precondition: Hold said held, and the caller was seen waiting afterwards.
func (h *Injector) Run(_ *shim.Call, call shim.Rewrite) (answered bool, err error) {
	h.call = call
	_ = h.Set.Interrupt(h.caller) // a dead one is seen by Finish
	h.at(Interrupted)
	return false, nil
}

// Finish implements shim.Runner.
func (h *Injector) Finish() (shim.Result, error) {
	h.worker.EnterWait() // a frozen caller does not come
	defer h.worker.Leave()
	h.result = shim.Result{}
	ran := h.run()
	h.unpin()
	if !ran {
		return shim.Result{}, shim.ErrGone
	}
	return h.result, nil
}

// Drop implements emulate.Injector: the caller goes by LetGo, nothing is run.
func (h *Injector) Drop() {
	h.unpin()
	h.Set.Forgo(h.caller)
}

// LetGo implements emulate.Injector.
func (h *Injector) LetGo(behind func() bool) { h.Set.LetGo(behind) }

// unpin lets go of the target, who does not feel it.
func (h *Injector) unpin() {
	h.target.Release()
	h.target = nil
}

// await is the caller's next stop; not alive: it has ended.
func (h *Injector) await() (what tracee.Event, sig unix.Signal, alive bool) {
	status, alive := h.Set.Wait(h.caller)
	if !alive {
		return tracee.EventExited, 0, false
	}
	what, sig = tracee.Classify(status)
	return what, sig, true
}

// detach lets the caller go, with the signal that it was about to take. The target goes
// first: nobody is traced any more when the call has returned.
func (h *Injector) detach(what tracee.Event, sig unix.Signal) {
	h.unpin()
	if what != tracee.EventSignal {
		sig = 0
	}
	h.Set.Detach(h.caller, sig)
}

// run injects the call. At the first stop the caller is on its way out of the wait, with the
// answer or with a restart as its result; its instruction pointer says that it has not been
// anywhere else since. False: it was interrupted before anything was sent.
func (h *Injector) run() (ran bool) {
	what, sig, alive := h.await()
	if !alive {
		return true // nobody is left to ask again
	}
	var before arch.Regs
	if what == tracee.EventSignal || sys.PtraceGetRegs(h.caller, &before) != 0 || before.IP() != h.ip {
		// A signal came first and is yet to be delivered, or its handler was entered.
		h.detach(what, sig)
		return false
	}
	ran = true // if it has ended by now nobody is left to ask again
	if h.enter(&before) {
		ran, alive = h.leave(&before)
		if alive {
			h.detach(tracee.EventSyscall, 0)
		}
	}
	return ran
}

// borrowed have the caller die with us while it has another call's registers, and every
// signal blocked.
const borrowed = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL

// enter makes the caller execute its call instruction again, up to the stop at the
// call's entry. Signals wait meanwhile, as they would have for the call.
func (h *Injector) enter(before *arch.Regs) bool {
	_ = sys.PtraceSetOptions(h.caller, borrowed)
	mask, _ := sys.PtraceGetSigmask(h.caller)
	everything := ^uint64(0)
	_ = sys.PtraceSetSigmask(h.caller, everything)
	regs := *before
	regs.CallAgain(h.ip, h.call.Nr)
	order := abi.Of(h.abi).ArgumentRegs
	regs.Place(order, h.call.Args)
	_ = sys.PtraceSetRegs(h.caller, &regs)
	alive := h.toSyscallStop(Borrowed)
	if !alive {
		return false
	}
	// What was decided must be what is about to run: the instruction is in memory that
	// others may share.
	var at arch.Regs
	if sys.PtraceGetRegs(h.caller, &at) != 0 || uint32(at.Number()) != uint32(h.call.Nr) || at.Pick(order) != h.call.Args {
		_ = sys.PtracePokeReg(h.caller, arch.RegNumber, arch.NoCall)
	}
	// The call may be notified again, and a signal that is pending ends that wait before it is
	// received, with EINTR for the caller. So signals wait on, but for the one that is sent:
	// whether its receiver blocks it decides who takes it, and whether it is ignored
	// (kernel/signal.c, complete_signal, sig_ignored).
	h.mask = mask
	waiting := everything&^h.sent() | mask
	_ = sys.PtraceSetSigmask(h.caller, waiting)
	h.at(Entered)
	return true
}

// sent is the signal that the caller is made to send, as a mask.
func (h *Injector) sent() uint64 {
	what := abi.Of(h.abi).Syscall(uint32(h.call.Nr) &^ abi.Of(h.abi).Mark)
	sig := h.call.Args[1]
	if what == arch.Tgkill || what == arch.RtTgsigqueueinfo {
		sig = h.call.Args[2]
	}
	return 1 << (uint32(sig) - 1) // 0 for what is none
}

// leave lets the call run and puts the caller back as it was, with its result. Not ran: the
// call met a filter that notified of it, and a signal came before it was let through. The
// caller is then as if that had interrupted the call that it made: the kernel makes it
// call again, or gives it EINTR.
func (h *Injector) leave(before *arch.Regs) (ran, alive bool) {
	if !h.toSyscallStop(Running) {
		return true, false
	}
	_ = sys.PtraceSetSigmask(h.caller, h.mask)
	var after arch.Regs
	if sys.PtraceGetRegs(h.caller, &after) != 0 {
		return true, true
	}
	ran = !sys.IsRestart(after.Result())
	regs := *before
	regs.SetResult(after.Result())
	if ran {
		regs.SetNumber(arch.NoCall)
		h.result = shim.ResultOf(after.Result())
	}
	_ = sys.PtraceSetRegs(h.caller, &regs)
	h.at(Restored)
	return ran, true
}

// toSyscallStop resumes the caller until its next entry or exit of a call. Only SIGSTOP
// and SIGKILL get through in between.
func (h *Injector) toSyscallStop(now Step) bool {
	sig := unix.Signal(0)
	for {
		if sys.PtraceResume(unix.PTRACE_SYSCALL, h.caller, sig) != 0 {
			h.detach(tracee.EventSyscall, 0) // killed in its stop
			return false
		}
		h.at(now)
		what, s, alive := h.await()
		if !alive || what == tracee.EventSyscall {
			return alive
		}
		sig = 0
		if what == tracee.EventSignal {
			sig = s
		}
	}
}
