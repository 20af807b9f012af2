package kernel

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// userNotif asks for the action SECCOMP_RET_USER_NOTIF. Linux 5.0.
func userNotif() error {
	err := sys.Err(sys.SeccompActionAvail(unix.SECCOMP_RET_USER_NOTIF))
	return answer("seccomp(GET_ACTION_AVAIL, RET_USER_NOTIF)", err, unix.EOPNOTSUPP, unix.EINVAL)
}

// Listener asks whether this process can get a listener: Linux 5.0, and no outer
// listener (EBUSY: there is one for a whole chain of filters).
func Listener() error {
	return withListener(func(int) error { return nil })
}

// WaitKillableRecv asks for SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV. Linux 5.19.
//
// The kernel checks flags before it reads the program (kernel/seccomp.c,
// seccomp_set_mode_filter), so NULL tells without installing anything: EFAULT for
// flags it knows, EINVAL for others.
func WaitKillableRecv() error {
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	return refusal("seccomp(SET_MODE_FILTER, WAIT_KILLABLE_RECV, NULL)",
		sys.Err(sys.SeccompNull(unix.SECCOMP_SET_MODE_FILTER, flags)), unix.EFAULT, unix.EINVAL)
}

// tsyncEsrch asks for SECCOMP_FILTER_FLAG_TSYNC_ESRCH. Linux 5.7.
func tsyncEsrch() error {
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	return refusal("seccomp(SET_MODE_FILTER, TSYNC_ESRCH, NULL)",
		sys.Err(sys.SeccompNull(unix.SECCOMP_SET_MODE_FILTER, flags)), unix.EFAULT, unix.EINVAL)
}

// NotifContinue asks for SECCOMP_USER_NOTIF_FLAG_CONTINUE. Linux 5.5.
func NotifContinue() error { return withListener(listenerContinue) }

// IDValidNew asks for NOTIF_ID_VALID as _IOW. Linux 5.9, and stable kernels.
func IDValidNew() error {
	return withListener(func(listener int) error {
		return listenerIDValid(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID)
	})
}

// idValidOld is SECCOMP_IOCTL_NOTIF_ID_VALID as 5.0 had it, _IOR('!', 2, __u64).
const idValidOld = 0x80082102

// oldIDValid asks for NOTIF_ID_VALID as _IOR, its first form. Linux 5.0.
func oldIDValid() error {
	return withListener(func(listener int) error { return listenerIDValid(listener, idValidOld) })
}

// SyncWakeUp asks for SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP. Linux 6.6.
func SyncWakeUp() error { return withListener(listenerSyncWakeUp) }

// addFD asks for SECCOMP_IOCTL_NOTIF_ADDFD. Linux 5.9.
func addFD() error { return withListener(listenerAddFD) }

// A listener nobody waits on refuses every id with ENOENT, but only after it has
// understood the request; what it does not know is EINVAL before that.

// struct seccomp_notif_resp { __u64 id; __s64 val; __s32 error; __u32 flags; };
func listenerContinue(listener int) error {
	resp := []uint64{0, 0, unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE << 32}
	err := ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, resp)
	return refusal("ioctl(NOTIF_SEND, FLAG_CONTINUE)", err, unix.ENOENT, unix.EINVAL)
}

func listenerIDValid(listener int, request uintptr) error {
	err := ioctlPointer(listener, request, []uint64{0})
	return refusal("ioctl(NOTIF_ID_VALID)", err, unix.ENOENT, unix.EINVAL)
}

// struct seccomp_notif_addfd { __u64 id; __u32 flags, srcfd, newfd, newfd_flags; };
func listenerAddFD(listener int) error {
	err := ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_ADDFD, []uint64{0, uint64(listener) << 32, 0})
	return refusal("ioctl(NOTIF_ADDFD)", err, unix.ENOENT, unix.EINVAL)
}

func listenerSyncWakeUp(listener int) error {
	_, err := ioctlValue(listener, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return answer("ioctl(NOTIF_SET_FLAGS, SYNC_WAKE_UP)", err, unix.EINVAL)
}

// withListener calls ask with the listener of a filter on a thread that ends with
// the call, since a filter can't be removed from a thread that lives on.
func withListener(ask func(listener int) error) (err error) {
	onThrowawayThread(func() {
		// Per thread, so it ends with the thread too. Without it only
		// CAP_SYS_ADMIN may install filters.
		if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			err = answer("prctl(PR_SET_NO_NEW_PRIVS)", err)
			return
		}
		var listener int
		if listener, err = seccompListener(); err != nil {
			err = answer("seccomp(SET_MODE_FILTER, NEW_LISTENER)", err, unix.EINVAL)
			return
		}
		defer unix.Close(listener)
		err = ask(listener)
	})
	return err
}

// seccompListener installs a filter that allows everything on the calling thread
// and returns its listener, which is close-on-exec from birth.
func seccompListener() (int, error) {
	return seccompFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}

// onThrowawayThread runs f on a thread that ends afterwards. The process's main
// thread cannot end, so where the scheduler offers that one it is held back while
// another is taken.
func onThrowawayThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // not unlocked: the runtime then ends the thread
		if unix.Gettid() == unix.Getpid() {
			onThrowawayThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

// ListenerHangsUp asks whether a listener tells when its last task has ended. Linux 5.9.
//
// On a kernel that does not it takes as long as the patience below.
func ListenerHangsUp() error {
	const patience = 200 // ms; a thread that ends takes microseconds
	listener := -1
	if err := withListener(func(fd int) (err error) {
		listener, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return err
	}); err != nil {
		return err
	}
	defer unix.Close(listener)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(listener)}}, patience)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return answer("poll(listener)", err)
		case n == 0:
			return errors.ErrUnsupported
		default:
			return nil
		}
	}
}
