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

// Hopper makes a caller that waits in a notification run another call in its place. It
// is asked twice: Hold seizes the caller, and the target so that its number stays its
// own; Run gives the call, after which the notification is answered. The caller then
// stops before it runs any code of its own, whether the answer reached it or a signal
// made it leave the wait first, and is made to execute its call instruction again with
// other registers. The tracer is a helper process: see doc.go.
type Hopper struct {
	helper.Helper
}

// The wire. A question is {what, caller, target, abi uint32; ip, nr, args[6] uint64}, an
// answer {errno, pinned uint32}.
const (
	hopQuestion = 16 + 8*8
	hopAnswer   = 8

	hopHold = 1
	hopRun  = 2
	hopDrop = 3
)

// Hold seizes both. target 0: nobody to pin. held is false where the caller is traced
// already or may not be; pinned where the target is.
func (h *Hopper) Hold(c *shim.Call, target int32) (held, pinned bool) {
	var q [hopQuestion]byte
	le := binary.LittleEndian
	le.PutUint32(q[0:], hopHold)
	le.PutUint32(q[4:], uint32(c.Tid))
	le.PutUint32(q[8:], uint32(target))
	le.PutUint32(q[12:], uint32(c.ABI))
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
	if ok, _ := h.ask(&q); !ok {
		return errors.New("the helper process that holds the caller has ended")
	}
	return nil
}

// Drop lets both go: nothing is run.
func (h *Hopper) Drop() {
	var q [hopQuestion]byte
	binary.LittleEndian.PutUint32(q[0:], hopDrop)
	h.ask(&q)
}

func (h *Hopper) ask(q *[hopQuestion]byte) (ok, pinned bool) {
	var answer [hopAnswer]byte
	if n, err := h.Ask(q[:], answer[:]); err != nil || n != hopAnswer {
		return false, false
	}
	return binary.LittleEndian.Uint32(answer[0:]) == 0, binary.LittleEndian.Uint32(answer[4:]) != 0
}

// hop is the helper's side: one caller and one target at a time.
type hop struct {
	caller, target int32
	abi            arch.ABI
	ip             uint64
	call           shim.Rewrite
}

// ServeHops is the helper process's side of Hopper. Precondition: the goroutine is locked
// to its thread, which owns the tracees. When the process ends the kernel lets go of
// them: a caller stopped then goes on with the answer of its notification.
func ServeHops(socket *os.File) error {
	var h hop
	q, answer := make([]byte, hopQuestion), make([]byte, hopAnswer)
	for {
		n, err := socket.Read(q)
		if n != hopQuestion {
			return err
		}
		what := binary.LittleEndian.Uint32(q)
		clear(answer)
		switch what {
		case hopHold:
			held, pinned := h.hold(q)
			if !held {
				answer[0] = byte(unix.EPERM)
			}
			if pinned {
				answer[4] = 1
			}
		case hopRun:
			h.read(q)
		}
		if _, err := socket.Write(answer); err != nil {
			return err
		}
		if what == hopRun {
			h.run()
		}
		if what != hopHold {
			h.release()
		}
	}
}

func (h *hop) hold(q []byte) (held, pinned bool) {
	le := binary.LittleEndian
	*h = hop{abi: arch.ABI(le.Uint32(q[12:])), ip: le.Uint64(q[16:])}
	caller, target := int32(le.Uint32(q[4:])), int32(le.Uint32(q[8:]))
	if target != 0 && target != caller && request(unix.PTRACE_SEIZE, target, 0, 0) == 0 {
		h.target = target
	}
	if request(unix.PTRACE_SEIZE, caller, 0, unix.PTRACE_O_TRACESYSGOOD) != 0 {
		h.release()
		return false, false
	}
	h.caller = caller
	// From here on the caller stops before it gets back to its own code.
	_ = request(unix.PTRACE_INTERRUPT, caller, 0, 0)
	return true, h.target != 0
}

func (h *hop) read(q []byte) {
	h.call.Nr = binary.LittleEndian.Uint64(q[24:])
	for i := range h.call.Args {
		h.call.Args[i] = binary.LittleEndian.Uint64(q[32+8*i:])
	}
}

// release lets go of what is held and not let go of yet.
func (h *hop) release() {
	if h.caller != 0 {
		if event, sig, ok := await(h.caller); ok {
			detach(h.caller, event, sig)
		}
	}
	if h.target != 0 && request(unix.PTRACE_INTERRUPT, h.target, 0, 0) == 0 {
		if event, sig, ok := await(h.target); ok {
			detach(h.target, event, sig)
		}
	}
	h.caller, h.target = 0, 0
}

func detach(tid int32, event event, sig unix.Signal) {
	if event != eventSignal {
		sig = 0
	}
	_ = request(unix.PTRACE_DETACH, tid, 0, uintptr(sig))
}

// await is a tracee's next stop; not ok: it has ended.
func await(tid int32) (event, unix.Signal, bool) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(int(tid), &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, 0, false
		}
		event, sig := classify(status)
		return event, sig, event != eventExited
	}
}

// run is the hop. At the first stop the caller is on its way out of the wait, with the
// answer or with a restart in rax; its instruction pointer says that it has not been
// anywhere else since.
func (h *hop) run() {
	event, sig, alive := await(h.caller)
	if !alive {
		h.caller = 0
		return
	}
	var before arch.Regs
	if event == eventSignal || getRegs(h.caller, &before) != 0 || before[arch.RegRIP] != h.ip {
		// A handler was entered first: the call was interrupted before anything was sent.
		detach(h.caller, event, sig)
		h.caller = 0
		return
	}
	if h.enter(&before) && h.leave(&before) {
		_ = request(unix.PTRACE_DETACH, h.caller, 0, 0)
	}
	h.caller = 0
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
			return false
		}
		event, s, alive := await(h.caller)
		if !alive || event == eventSyscall {
			return alive
		}
		sig = 0
		if event == eventSignal {
			sig = s
		}
	}
}
