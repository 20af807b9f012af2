package notify

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// ErrNoListener says that a descriptor is not a seccomp listener.
var ErrNoListener = errors.New("not a seccomp listener")

// ErrStopped ends Next where no more calls are to be taken, though their callers live.
var ErrStopped = errors.New("told to stop")

// Adopt makes a Listener of one that another program installed and handed over. It takes
// ownership of the file, also where it refuses it. How that program's filter waits
// (WAIT_KILLABLE_RECV) cannot be asked, so nothing may rely on it.
//
// Calls are waited for by poll: such a listener outlives many containers, and RECV
// blocks on after the last caller has ended, until 6.11. It ends with ErrStopped when
// stop, if not nil, hangs up; stop stays its owner's.
func Adopt(file *os.File, stop *os.File) (*Listener, error) {
	if err := checkListener(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	l, err := newListener(file)
	if err != nil {
		return nil, err
	}
	l.adopted = true
	if stop != nil {
		l.StopAt(stop)
	}
	return l, nil
}

// StopAt has Next end when stop hangs up. Precondition: nobody is in Next.
func (l *Listener) StopAt(stop *os.File) { l.stop = int(stop.Fd()) }

// checkListener looks at the link first: an ioctl on a file of somebody's FUSE server
// would wait for that server. A file's link begins with a slash, so it cannot pretend.
// The request itself then is the proof: 0 is hardly ever the id of a call.
func checkListener(file *os.File) error {
	fd := int(file.Fd())
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return fmt.Errorf("look at a descriptor: %w", err)
	}
	if link != "anon_inode:seccomp notify" {
		return fmt.Errorf("%w: %.64q", ErrNoListener, link)
	}
	var none uint64
	errno := idValid(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, &none)
	if errno == unix.EINVAL {
		errno = idValid(fd, idValidWrongDir, &none)
	}
	if errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("%w: %w", ErrNoListener, errno)
	}
	return nil
}

// await returns when a call can be received, io.EOF when nobody is left to make one.
func (l *Listener) await() error {
	fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.stop)}}
	for {
		n, err := unix.Poll(fds, l.handed.patience())
		listener, stop := fds[0].Revents, fds[1].Revents
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll(listener)", err)
		case n == 0:
			return shim.ErrGone // for Next to look at what was handed over
		case stop != 0:
			return ErrStopped
		case listener&unix.POLLIN != 0:
			return nil
		case listener&unix.POLLHUP != 0:
			return io.EOF
		case listener&unix.POLLNVAL != 0:
			return os.NewSyscallError("poll(listener)", unix.EBADF)
		}
	}
}

// File is the descriptor to keep; it stays the Listener's.
func (l *Listener) File() *os.File { return l.file }

// Same tells whether both are descriptors of one listener (kcmp(2), KCMP_FILE). Where
// that cannot be told it says no.
func (l *Listener) Same(other *Listener) bool {
	pid := uintptr(unix.Getpid())
	result, _, errno := unix.RawSyscall6(unix.SYS_KCMP, pid, pid, kcmpFile, uintptr(l.fd), uintptr(other.fd), 0)
	return errno == 0 && result == 0
}

const kcmpFile = 0 // KCMP_FILE, <linux/kcmp.h>
