package tracee

import "golang.org/x/sys/unix"

// Event is what a wait status of a seized tracee means.
type Event uint8

// The meanings.
const (
	EventExited    Event = iota // it is gone; its number is free now
	EventSignal                 // about to be delivered: signal-delivery-stop
	EventGroupStop              // stopped as a group: stays so until SIGCONT
	EventStop                   // PTRACE_INTERRUPT, a new tracee's first, or a group stop's end
	EventSyscall                // entry or exit of a call, asked for by PTRACE_SYSCALL
	EventSeccomp                // our filter said RET_TRACE
	EventFork                   // fork, vfork or clone: another tracee comes
	EventExec
	EventExit // on its way out, alive for the last time
	EventOther
)

// Classify reads a status as ptrace(2), "Stopped states", tells them apart: the signal
// in bits 8 to 15, the event above it. PTRACE_O_TRACESYSGOOD marks syscall stops with
// bit 7 of the signal.
func Classify(status unix.WaitStatus) (Event, unix.Signal) {
	switch {
	case status.Exited(), status.Signaled():
		return EventExited, 0
	case !status.Stopped():
		return EventOther, 0
	}
	sig := unix.Signal(uint32(status) >> 8 & 0xff)
	switch uint32(status) >> 16 {
	case 0:
		if sig == unix.SIGTRAP|0x80 {
			return EventSyscall, 0
		}
		return EventSignal, sig
	case unix.PTRACE_EVENT_STOP:
		switch sig {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			return EventGroupStop, sig
		}
		return EventStop, 0
	case unix.PTRACE_EVENT_SECCOMP:
		return EventSeccomp, 0
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		return EventFork, 0
	case unix.PTRACE_EVENT_EXEC:
		return EventExec, 0
	case unix.PTRACE_EVENT_EXIT:
		return EventExit, 0
	}
	return EventOther, 0
}
