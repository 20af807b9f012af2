package kernel

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// PidfdSendSignal asks for syscall 424 itself. Linux 5.1.
//
// EBADF means that the call looked at the descriptor, so it exists. EPERM may be
// somebody's seccomp profile, hence unknown.
func PidfdSendSignal() error {
	return refusal("pidfd_send_signal(-1, 0, NULL, 0)", sendSignal(-1, 0), unix.EBADF, unix.ENOSYS)
}

// SignalFlags returns the flag bits that pidfd_send_signal takes. Linux 6.9.
//
// The kernel checks flags before it looks at the descriptor, so a bad descriptor
// tells: EBADF for a known bit, EINVAL for an unknown one.
func SignalFlags() uint32 {
	var known uint32
	for _, bit := range []uint32{
		unix.PIDFD_SIGNAL_THREAD, unix.PIDFD_SIGNAL_THREAD_GROUP, unix.PIDFD_SIGNAL_PROCESS_GROUP,
	} {
		if errors.Is(sendSignal(-1, bit), unix.EBADF) {
			known |= bit
		}
	}
	return known
}

// signalFlags is SignalFlags as a yes or no, for the list of features.
func signalFlags() error {
	err := sendSignal(-1, unix.PIDFD_SIGNAL_THREAD)
	return refusal("pidfd_send_signal(-1, 0, NULL, PIDFD_SIGNAL_THREAD)", err, unix.EBADF, unix.EINVAL)
}

// The values that have stood for "myself", the newest first. 6.15 and 6.16 had
// PIDFD_SELF_THREAD_GROUP at -20000; <linux/fcntl.h> moved it to -10001 in 6.17.
var (
	selfThreadValues = []int32{unix.PIDFD_SELF_THREAD}
	selfGroupValues  = []int32{unix.PIDFD_SELF_THREAD_GROUP, -20000}
)

// firstSelf returns the first value that the kernel takes for ourselves, or 0.
// Signal 0 sends nothing.
func firstSelf(values []int32) int32 {
	for _, v := range values {
		if sendSignal(v, 0) == nil {
			return v
		}
	}
	return 0
}

// PidfdSelf asks for PIDFD_SELF_THREAD and PIDFD_SELF_THREAD_GROUP. Linux 6.15.
func PidfdSelf() error {
	err := sendSignal(unix.PIDFD_SELF_THREAD, 0)
	return answer("pidfd_send_signal(PIDFD_SELF_THREAD, 0, NULL, 0)", err, unix.EBADF)
}

// PidfdOpen asks for pidfd_open. Linux 5.3.
func PidfdOpen() error {
	return withPidfd(func(int) error { return nil })
}

// PidfdThread asks for pidfds of threads. Linux 6.9.
func PidfdThread() error {
	pidfd, err := unix.PidfdOpen(unix.Gettid(), unix.O_EXCL) // PIDFD_THREAD is O_EXCL
	if err == nil {
		unix.Close(pidfd)
	}
	return answer("pidfd_open(own tid, PIDFD_THREAD)", err, unix.EINVAL)
}

// PidfdGetfd asks for pidfd_getfd. Linux 5.6.
func PidfdGetfd() error { return withPidfd(getfd) }

func getfd(pidfd int) error {
	fd, err := unix.PidfdGetfd(pidfd, pidfd, 0)
	if err == nil {
		unix.Close(fd)
	}
	return answer("pidfd_getfd(own pidfd)", err)
}

// PidfdInfo asks for PIDFD_GET_INFO. Linux 6.13.
func PidfdInfo() error { return withPidfd(info) }

func info(pidfd int) error {
	return answer("ioctl(own pidfd, PIDFD_GET_INFO)", sys.Err(sys.PidfdGetInfo(pidfd, &sys.PidfdInfo{})), unix.ENOTTY, unix.EINVAL)
}

// pidfdNamespaces asks for namespaces by pidfd. Linux 6.11.
func pidfdNamespaces() error {
	return withPidfd(func(pidfd int) error {
		fd, err := ioctlValue(pidfd, unix.PIDFD_GET_PID_NAMESPACE, 0)
		if err == nil {
			unix.Close(fd)
		}
		return answer("ioctl(own pidfd, PIDFD_GET_PID_NAMESPACE)", err, unix.ENOTTY, unix.EINVAL)
	})
}

func openSelf(flags int) (int, error) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), flags)
	return pidfd, answer("pidfd_open(own pid)", err)
}

func withPidfd(ask func(pidfd int) error) error {
	pidfd, err := openSelf(0)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	return ask(pidfd)
}
