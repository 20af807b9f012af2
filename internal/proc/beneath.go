package proc

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// node is a directory of procfs beneath which files are opened. What has been
// mounted over one of them is refused with EXDEV.
type node struct {
	fd    int
	fs    *FS  // for looking at our own descriptors; nil if there is none
	own   bool // in fs itself, not in a procfs that somebody handed to us
	plain bool // as on kernels before 5.6
}

// pathSize holds the longest path beneath a node: two numbers and a word.
const pathSize = 64

// open opens the NUL-terminated path beneath n. A symbolic link is opened itself
// under O_PATH|O_NOFOLLOW and refused otherwise.
func (n node) open(path []byte, flags uint64) (int, unix.Errno) {
	if !n.plain {
		fd, err := sys.Openat2(n.fd, path, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS,
		})
		// EPERM: an outer seccomp profile that does not know the call.
		if err != unix.ENOSYS && err != unix.EPERM {
			return fd, err
		}
	}
	return n.walk(path, flags)
}

// walk is open for kernels before 5.6: one component after the other, never through
// a link, looking at what each open gave.
func (n node) walk(path []byte, flags uint64) (int, unix.Errno) {
	dir := n.fd
	defer func() {
		if dir != n.fd {
			unix.Close(dir)
		}
	}()
	rest := bytes.TrimSuffix(path, []byte{0})
	for {
		name, after, more := bytes.Cut(rest, []byte{'/'})
		how := flags
		if more {
			how = unix.O_PATH | unix.O_DIRECTORY
		}
		if len(name) == 0 || string(name) == ".." {
			return -1, unix.EXDEV // as RESOLVE_BENEATH, which does not ask where .. leads
		}
		fd, err := unix.Openat(dir, string(name), int(how)|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, errno(err)
		}
		if !n.sameMount(fd) {
			unix.Close(fd)
			return -1, unix.EXDEV
		}
		if !more {
			return fd, 0
		}
		if dir != n.fd {
			unix.Close(dir)
		}
		dir, rest = fd, after
	}
}

// sameMount tells whether fd, opened beneath n, is in the same mount. st_dev alone
// would take one file of the same procfs for another, so where we have an FS the
// mount ids are compared (fdinfo's mnt_id, 3.15).
func (n node) sameMount(fd int) bool {
	var a, b unix.Stat_t
	if !IsProcfs(fd) || unix.Fstat(n.fd, &a) != nil || unix.Fstat(fd, &b) != nil || a.Dev != b.Dev {
		return false
	}
	// Nobody can reach a detached mount; without an FS there is nothing to ask.
	if n.fs == nil || n.own && n.fs.detached {
		return true
	}
	ours, err := n.fs.mountID(n.fd)
	if err != nil {
		return false
	}
	theirs, err := n.fs.mountID(fd)
	return err == nil && ours == theirs
}

// errno returns the system's reason in err.
func errno(err error) unix.Errno {
	if e := unix.Errno(0); errors.As(err, &e) {
		return e
	}
	return unix.EIO
}
