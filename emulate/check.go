package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// The checks of a call, in the order of the kernel's (kernel/signal.c,
// SYSCALL_DEFINE4(pidfd_send_signal), 6.18). resolve.go makes the first ones as it finds
// out whom and what the call means:
//
//  1. unknown flag                                EINVAL
//  2. more than one scope flag                    EINVAL
//  3. PIDFD_SELF_*: no descriptor, skips 4 to 6
//  4. descriptor closed, or O_PATH                EBADF
//  5. neither a pidfd nor a /proc/PID directory   EBADF
//  6. target's pid namespace not the caller's
//     or below it                                 EINVAL
//  7. siginfo unreadable                          EFAULT
//  8. native, unknown code, bytes after the 48    E2BIG
//
// check goes on with
//
//  9. si_signo is not sig                         EINVAL
//  10. si_code that only the kernel may use       EPERM
//  11. target reaped                              ESRCH
//  12. sig out of range                           EINVAL
//
// then, where the kernel asks for permission, the policy and permission.go with
//
//  13. permission                                 EPERM
//
// and what sends with
//
//  14. sig 0 ends here; the queue limit           EAGAIN

// check is the errno of the checks up to 12, or 0. It looks at nothing but what it is given.
func check(r *request, f *facts, rules *Rules) unix.Errno {
	group := r.flags&flagProcessGroup != 0
	switch {
	case f.pendingErrno != 0:
		return f.pendingErrno
	case f.hasInfo && f.info.Signo() != r.sig:
		return unix.EINVAL
	case f.hasInfo && kernelOnly(f.info.Code()) && !f.isCaller && (!rules.Original || r.byNumber()):
		return unix.EPERM
	case f.hasInfo && f.info.Code() == arch.SI_TKILL && !f.isCaller: // original, too
		return unix.EPERM
	case group: // members first, then the signal, then each one's permission
		return 0
	case f.target.reaped:
		return unix.ESRCH
	case uint32(r.sig) > maxSignal:
		return unix.EINVAL
	}
	return 0
}

// refusedBy is the number of the check that refused a call with this errno: 0 where it was a
// rule, or where the shim could not serve it.
func refusedBy(a *attempt, rules *Rules, errno unix.Errno) uint8 {
	switch {
	case a.call.Record.Denied, errno == unix.ENOSYS, a.req.getsHandle():
		return 0
	case a.pendingErrno != 0 && a.pendingErrno == errno:
		return refusedEarly(a, rules)
	}
	switch errno {
	case unix.EINVAL:
		if a.hasInfo && a.info.Signo() != a.req.sig {
			return 9
		}
		return 12
	case unix.EPERM:
		if a.hasInfo && kernelOnly(a.info.Code()) && !a.isCaller {
			return 10
		}
		return 13
	case unix.ESRCH:
		return 11
	case unix.EAGAIN:
		return 14
	}
	return 0
}

// refusedEarly is for the checks up to 8.
func refusedEarly(a *attempt, rules *Rules) uint8 {
	flags := a.req.flags
	switch {
	case a.pendingErrno == unix.EFAULT:
		return 7
	case a.pendingErrno == unix.E2BIG:
		return 8
	case a.pendingErrno == unix.ESRCH:
		return 11
	case a.pendingErrno == unix.EBADF && a.target.fd > 0:
		return 5
	case a.pendingErrno == unix.EBADF:
		return 4
	case a.pendingErrno != unix.EINVAL || a.req.byNumber():
		return 0
	case flags&^rules.Flags != 0:
		return 1
	case flags&(flags-1) != 0:
		return 2
	}
	return 6
}
