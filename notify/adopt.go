package notify

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// errNoListener says that a descriptor is not a seccomp listener.
var errNoListener = errors.New("not a seccomp listener")

// Adopt makes a Listener of one that another program installed and handed over. It takes
// ownership of the file, also where it refuses it. How that program's filter waits
// (WAIT_KILLABLE_RECV) cannot be asked, so nothing may rely on it.
func Adopt(file *os.File) (*Listener, error) {
	if err := checkListener(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	l, err := newListener(file)
	if err != nil {
		return nil, err
	}
	l.adopted = true
	return l, nil
}

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
		return fmt.Errorf("%w: %.64q", errNoListener, link)
	}
	var none uint64
	errno := sys.SeccompNotifIDValid(fd, unix.SECCOMP_IOCTL_NOTIF_ID_VALID, &none)
	if errno == unix.EINVAL {
		errno = sys.SeccompNotifIDValid(fd, sys.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR, &none)
	}
	if errno != 0 && errno != unix.ENOENT {
		return fmt.Errorf("%w: %w", errNoListener, errno)
	}
	return nil
}

// Left implements shim.Heir: a call that was received by a supervisor that has died, or that
// was handed over by it and let go.
func (l *Listener) Left(c *shim.Call) (found bool, again time.Duration) {
	if l.journal == nil {
		return false, 0
	}
	l.settleDelegated()
	for {
		left := l.journal.leftover()
		if left == nil {
			return false, l.delegated.patience()
		}
		c.Buffer, c.Entry = left.received(l.size), left
		l.decode(c)
		if !l.isInjected(c) {
			return true, 0
		}
		c.Finished()
	}
}

// File is the descriptor to keep; it stays the Listener's.
func (l *Listener) File() *os.File { return l.file }

// Same tells whether both are descriptors of one listener (kcmp(2), KCMP_FILE). Where
// that cannot be told it says no.
func (l *Listener) Same(other *Listener) bool {
	pid := int32(unix.Getpid())
	result, errno := sys.Kcmp(pid, pid, sys.KCMP_FILE, uintptr(l.fd), uintptr(other.fd))
	return errno == 0 && result == 0
}
