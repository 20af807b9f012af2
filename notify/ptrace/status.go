package ptrace

import "golang.org/x/sys/unix"

// event is what a wait status of a seized tracee means.
type event uint8

const (
	eventExited    event = iota // it is gone; its number is free now
	eventSignal                 // about to be delivered: signal-delivery-stop
	eventGroupStop              // stopped as a group: stays so until SIGCONT
	eventStop                   // PTRACE_INTERRUPT, a new tracee's first, or a group stop's end
	eventSyscall                // entry or exit of a call, asked for by PTRACE_SYSCALL
	eventSeccomp                // our filter said RET_TRACE
	eventFork                   // fork, vfork or clone: another tracee comes
	eventExec
	eventExit // on its way out, alive for the last time
	eventOther
)

// classify reads a status as ptrace(2), "Stopped states", tells them apart: the signal
// in bits 8 to 15, the event above it. PTRACE_O_TRACESYSGOOD marks syscall stops with
// bit 7 of the signal.
func classify(status unix.WaitStatus) (event, unix.Signal) {
	switch {
	case status.Exited(), status.Signaled():
		return eventExited, 0
	case !status.Stopped():
		return eventOther, 0
	}
	sig := unix.Signal(uint32(status) >> 8 & 0xff)
	switch uint32(status) >> 16 {
	case 0:
		if sig == unix.SIGTRAP|0x80 {
			return eventSyscall, 0
		}
		return eventSignal, sig
	case unix.PTRACE_EVENT_STOP:
		switch sig {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			return eventGroupStop, sig
		}
		return eventStop, 0
	case unix.PTRACE_EVENT_SECCOMP:
		return eventSeccomp, 0
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		return eventFork, 0
	case unix.PTRACE_EVENT_EXEC:
		return eventExec, 0
	case unix.PTRACE_EVENT_EXIT:
		return eventExit, 0
	}
	return eventOther, 0
}
