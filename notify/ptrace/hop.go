package ptrace

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Hopper makes a caller that waits in a notification run another call in its place. Hold
// seizes the caller, which from then on stops for us at whatever ends its wait; Run gives the call, after which the notification is answered, and
// Finish waits for what comes of it. The caller
// stops before it runs any code of its own, whether the answer reached it or a signal
// made it leave the wait first, and is made to execute its call instruction again with
// other registers. The tracer is a helper process: see doc.go.
type Hopper struct {
	helper.Helper
}

// The wire. A question is {what, caller, abi, 0 uint32; ip, nr, args[6] uint64}, an answer
// {errno uint32}.
const (
	hopQuestion = 16 + 8*8
	hopAnswer   = 4

	hopHold   = 1
	hopRun    = 2
	hopDrop   = 3
	hopFinish = 4
)

// Hold seizes the caller: false where it is traced already or may not be.
func (h *Hopper) Hold(c *shim.Call) bool {
	var q [hopQuestion]byte
	le := binary.LittleEndian
	le.PutUint32(q[0:], hopHold)
	le.PutUint32(q[4:], uint32(c.Tid))
	le.PutUint32(q[8:], uint32(c.ABI))
	le.PutUint64(q[16:], c.Frame.IP)
	return h.ask(&q)
}

// Run implements shim.Runner. Precondition: Hold said held, and the caller was seen
// waiting afterwards.
func (h *Hopper) Run(call shim.Rewrite) error {
	var q [hopQuestion]byte
	le := binary.LittleEndian
	le.PutUint32(q[0:], hopRun)
	le.PutUint64(q[24:], call.Nr)
	for i, arg := range call.Args {
		le.PutUint64(q[32+8*i:], arg)
	}
	if !h.ask(&q) {
		return errors.New("the helper process that holds the caller has ended")
	}
	return nil
}

// Finish implements shim.Runner.
func (h *Hopper) Finish() error {
	var q [hopQuestion]byte
	binary.LittleEndian.PutUint32(q[0:], hopFinish)
	if !h.ask(&q) {
		return shim.ErrGone
	}
	return nil
}

// Drop lets the caller go: nothing is run.
func (h *Hopper) Drop() {
	var q [hopQuestion]byte
	binary.LittleEndian.PutUint32(q[0:], hopDrop)
	h.ask(&q)
}

func (h *Hopper) ask(q *[hopQuestion]byte) bool {
	var answer [hopAnswer]byte
	n, err := h.Ask(q[:], answer[:])
	return err == nil && n == hopAnswer && binary.LittleEndian.Uint32(answer[:]) == 0
}

// hop is the helper's side: one caller at a time.
type hop struct {
	caller int32 // 0: nobody is held
	abi    arch.ABI
	ip     uint64
	call   shim.Rewrite
	missed bool // a signal came before the call could be run
}

// ServeHops is the helper process's side of Hopper. Precondition: the goroutine is locked
// to its thread, which owns the tracee. When the process ends the kernel lets go of it: a
// caller stopped then goes on with the answer of its notification.
func ServeHops(socket *os.File) error {
	var h hop
	q, answer := make([]byte, hopQuestion), make([]byte, hopAnswer)
	for {
		n, err := socket.Read(q)
		if n != hopQuestion {
			return err
		}
		clear(answer)
		what := binary.LittleEndian.Uint32(q)
		switch what {
		case hopHold:
			answer[0] = byte(h.hold(q))
		case hopRun:
			if h.caller == 0 { // another helper held it, and has ended
				answer[0] = byte(unix.ESRCH)
				break
			}
			h.read(q)
			h.interrupt()
		case hopFinish:
			if h.missed {
				answer[0] = byte(unix.ECANCELED)
			}
		}
		if _, err := socket.Write(answer); err != nil {
			return err
		}
		switch {
		case h.caller == 0:
		case what == hopRun:
			h.run()
		case what == hopDrop:
			h.drop()
		}
	}
}

func (h *hop) hold(q []byte) unix.Errno {
	le := binary.LittleEndian
	caller := int32(le.Uint32(q[4:]))
	*h = hop{abi: arch.ABI(le.Uint32(q[8:])), ip: le.Uint64(q[16:])}
	if errno := request(unix.PTRACE_SEIZE, caller, 0, unix.PTRACE_O_TRACESYSGOOD); errno != 0 {
		return errno
	}
	h.caller = caller
	return 0
}

// interrupt makes the caller stop before it gets back to its own code. Not before Run:
// where the wait is not killable it ends the wait, and nobody could tell any more whether
// something else had ended it before.
func (h *hop) interrupt() { _ = request(unix.PTRACE_INTERRUPT, h.caller, 0, 0) }

func (h *hop) read(q []byte) {
	h.call.Nr = binary.LittleEndian.Uint64(q[24:])
	for i := range h.call.Args {
		h.call.Args[i] = binary.LittleEndian.Uint64(q[32+8*i:])
	}
}

// drop lets the caller go at its stop.
func (h *hop) drop() {
	h.interrupt()
	if what, sig, alive := h.await(); alive {
		h.detach(what, sig)
	}
	h.caller = 0
}

// detach lets the caller go. One that was killed in its stop is a zombie that waits for
// its tracer first.
func (h *hop) detach(what event, sig unix.Signal) {
	if what != eventSignal {
		sig = 0
	}
	if request(unix.PTRACE_DETACH, h.caller, 0, uintptr(sig)) == 0 {
		return
	}
	for {
		if _, _, alive := h.await(); !alive {
			return
		}
	}
}

// await is the caller's next stop; not alive: it has ended.
func (h *hop) await() (what event, sig unix.Signal, alive bool) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(int(h.caller), &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return eventExited, 0, false
		}
		what, sig = classify(status)
		return what, sig, what != eventExited
	}
}

// run is the hop. At the first stop the caller is on its way out of the wait, with the
// answer or with a restart in rax; its instruction pointer says that it has not been
// anywhere else since.
func (h *hop) run() {
	defer func() { h.caller = 0 }()
	what, sig, alive := h.await()
	if !alive {
		return
	}
	var before arch.Regs
	if what == eventSignal || getRegs(h.caller, &before) != 0 || before[arch.RegRIP] != h.ip {
		// A signal came first and is yet to be delivered, or its handler was entered: the
		// call was interrupted before anything was sent.
		h.missed = true
		h.detach(what, sig)
		return
	}
	if h.enter(&before) && h.leave(&before) {
		h.detach(eventSyscall, 0)
	}
}

// callInstruction is the length of syscall, sysenter and int $0x80 alike.
const callInstruction = 2

// enter makes the caller execute its call instruction again, up to the stop at the
// call's entry. Signals wait meanwhile, as they would have for the call.
func (h *hop) enter(before *arch.Regs) bool {
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
func (h *hop) leave(before *arch.Regs) bool {
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
func (h *hop) toSyscallStop() bool {
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
