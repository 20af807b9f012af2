package arch

// Layout tells which members the union of a siginfo_t holds: the kernel's
// enum siginfo_layout (include/linux/signal.h), without what x86 lacks.
type Layout uint8

// The layouts, in the kernel's spelling.
const (
	SIL_KILL Layout = iota
	SIL_TIMER
	SIL_POLL
	SIL_FAULT
	SIL_FAULT_MCEERR
	SIL_FAULT_BNDERR
	SIL_FAULT_PKUERR
	SIL_FAULT_PERF_EVENT
	SIL_CHLD
	SIL_RT
	SIL_SYS

	layoutCount = int(iota)
)

// String returns the layout's name without its prefix.
func (l Layout) String() string {
	if int(l) >= layoutCount {
		return "unknown"
	}
	return [layoutCount]string{
		"KILL", "TIMER", "POLL", "FAULT", "MCEERR", "BNDERR", "PKUERR", "PERF", "CHLD", "RT", "SYS",
	}[l]
}

// HasSender reports whether the layout carries si_pid and si_uid (kernel/signal.c,
// has_si_pid_and_uid): only those are translated between namespaces, and only with
// those does SIGKILL from an ancestor reach the init of a pid namespace.
func (l Layout) HasSender() bool {
	return l == SIL_KILL || l == SIL_CHLD || l == SIL_RT
}

// LayoutOf selects the layout as the kernel does (kernel/signal.c, siginfo_layout),
// by the code tables of 6.18. Older kernels have fewer codes of SIGSEGV, SIGTRAP
// and SIGSYS; that shows only in signals which a thread sends to itself, since
// nobody else may send positive codes.
func LayoutOf(signo, code int32) Layout {
	switch {
	case code > SI_USER && code < SI_KERNEL:
		return positiveLayout(signo, code)
	case code == SI_TIMER:
		return SIL_TIMER
	case code == SI_SIGIO:
		return SIL_POLL
	case code < 0:
		return SIL_RT
	}
	return SIL_KILL
}

func positiveLayout(signo, code int32) Layout {
	own := codesOf(signo)
	switch {
	case code > own.limit() && code <= pollCodes.limit():
		return SIL_POLL
	case code > own.limit():
		return SIL_KILL
	case signo == sigBUS && code >= busMCEERR_AR:
		return SIL_FAULT_MCEERR
	case signo == sigSEGV && code == segvBNDERR:
		return SIL_FAULT_BNDERR
	case signo == sigSEGV && code == segvPKUERR:
		return SIL_FAULT_PKUERR
	case signo == sigTRAP && code == trapPERF:
		return SIL_FAULT_PERF_EVENT
	}
	return own.layout
}

// KnownCode reports whether the kernel knows what follows such a code
// (kernel/signal.c, known_siginfo_layout). A 64-bit caller's record with any other
// code is E2BIG unless its bytes from 48 on are zero. It is not LayoutOf's question:
// SIGSYS with code 6 has the layout POLL and is still unknown.
func KnownCode(signo, code int32) bool {
	switch {
	case code == SI_KERNEL:
		return true
	case code > SI_USER:
		return code <= meaningOf(signo).limit()
	}
	return code >= SI_DETHREAD || code == SI_ASYNCNL
}
