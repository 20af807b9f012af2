package policy

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// layout says which argument of a call is what; none is an argument that it lacks.
// The signatures:
//
//	pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags)
//	kill(pid_t pid, int sig)
//	tkill(pid_t tid, int sig)
//	tgkill(pid_t tgid, pid_t tid, int sig)
//	rt_sigqueueinfo(pid_t tgid, int sig, siginfo_t *info)
//	rt_tgsigqueueinfo(pid_t tgid, pid_t tid, int sig, siginfo_t *info)
//	pidfd_open(pid_t pid, unsigned int flags)
//	pidfd_getfd(int pidfd, int targetfd, unsigned int flags)
type layout struct {
	signal, info, flags int
	fixed               Scope // of calls that have but one
}

const none = -1

func layoutOf(s arch.Syscall) layout {
	switch s {
	case arch.Kill:
		return layout{signal: 1, info: none, flags: none}
	case arch.Tkill:
		return layout{signal: 1, info: none, flags: none, fixed: ScopeThread}
	case arch.Tgkill:
		return layout{signal: 2, info: none, flags: none, fixed: ScopeThread}
	case arch.RtSigqueueinfo:
		return layout{signal: 1, info: 2, flags: none, fixed: ScopeProcess}
	case arch.RtTgsigqueueinfo:
		return layout{signal: 2, info: 3, flags: none, fixed: ScopeThread}
	case arch.PidfdOpen:
		return layout{signal: none, info: none, flags: none}
	case arch.PidfdGetfd: // what a process has open is the same for all of its threads
		return layout{signal: none, info: none, flags: none, fixed: ScopeProcess}
	}
	return layout{signal: 1, info: 2, flags: 3}
}

// The flags of pidfd_send_signal are looked at in this order, so that a call with
// several, which the kernel refuses, has a scope too.
const (
	flagThread  = unix.PIDFD_SIGNAL_THREAD
	flagProcess = unix.PIDFD_SIGNAL_THREAD_GROUP
	flagGroup   = unix.PIDFD_SIGNAL_PROCESS_GROUP
	scopeFlags  = flagThread | flagProcess | flagGroup

	selfThread  = -10000 // PIDFD_SELF_THREAD, <linux/pidfd.h> of 6.14
	selfProcess = -10001 // PIDFD_SELF_THREAD_GROUP
)

// QueryOf is what the registers of a call say.
func QueryOf(s arch.Syscall, abi arch.ABI, args arch.Args) Query {
	l := layoutOf(s)
	q := Query{Syscall: s, ABI: abi, Signal: NoSignal, Scope: l.fixed}
	if l.signal != none {
		q.Signal = args.Int(l.signal)
	}
	switch {
	case l.flags != none:
		q.Scope = scopeOf(args.Int(0), args.Uint(l.flags))
		q.HasInfo = args.Pointer(l.info) != 0
	case s == arch.Kill:
		q.Scope = killScope(args.Int(0))
	case s == arch.PidfdOpen:
		q.Scope = openScope(args.Uint(1))
	default:
		q.HasInfo = l.info != none // NULL is an address too, and a bad one
	}
	return q
}

// scopeOf is the scope of a pidfd_send_signal as far as registers tell.
func scopeOf(pidfd int32, flags uint32) Scope {
	switch {
	case flags&flagGroup != 0:
		return ScopeGroup
	case flags&flagProcess != 0:
		return ScopeProcess
	case flags&flagThread != 0, pidfd == selfThread:
		return ScopeThread
	case pidfd == selfProcess:
		return ScopeProcess
	}
	return ScopeByDescriptor
}

// NoSignal is that of calls that send none: no rule can name it.
const NoSignal = -1

// openScope is whom a descriptor that is asked for will mean.
func openScope(flags uint32) Scope {
	if flags&unix.PIDFD_THREAD != 0 {
		return ScopeThread
	}
	return ScopeProcess
}

// killScope calls 0, -1 and -pgid a group: all of them go to many processes.
func killScope(pid int32) Scope {
	if pid > 0 {
		return ScopeProcess
	}
	return ScopeGroup
}

// String implements fmt.Stringer.
func (s Scope) String() string { return [...]string{"by descriptor", "process", "thread", "group"}[s] }
