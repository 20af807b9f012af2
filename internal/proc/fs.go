package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// FS is a procfs of the supervisor's own. It may be used by several goroutines at
// once; the Dirs that it gives may not.
type FS struct {
	root     node
	detached bool
	self     int32
}

// Open gives the best procfs that this kernel and our privilege allow: a detached
// mount that nothing can be mounted over, else the one at /proc. Close it after use.
func Open() (*FS, error) {
	f := &FS{self: int32(os.Getpid())}
	fd, err := mountDetached()
	if err == nil {
		f.detached = true
	} else if fd, err = openMounted("/proc"); err != nil {
		return nil, err
	}
	f.root = node{fd: fd, fs: f, own: true}
	return f, nil
}

// Inherit makes an FS of a detached mount that this process opened before it executed its
// program again and lost the privilege to make another. It takes the descriptor over.
func Inherit(fd int) (*FS, error) {
	self := os.Getpid()
	var buf [16]byte
	n, err := unix.Readlinkat(fd, "self", buf[:])
	if err != nil || !IsProcfs(fd) || string(buf[:n]) != strconv.Itoa(self) {
		return nil, fmt.Errorf("go on with procfs: descriptor %d is none of our pid namespace", fd)
	}
	unix.CloseOnExec(fd)
	f := &FS{self: int32(self), detached: true}
	f.root = node{fd: fd, fs: f, own: true}
	return f, nil
}

// Close ends the use of f; Dirs opened through it stay good.
func (f *FS) Close() error { return unix.Close(f.root.fd) }

// FD is the descriptor of the root directory, owned by f.
func (f *FS) FD() int { return f.root.fd }

// Detached tells whether the mount is ours alone. If not, a sandbox that shares our
// mount namespace can mount over parts of it: reads then fail, and never lie.
func (f *FS) Detached() bool { return f.detached }

// Dir opens /proc/pid. A tid works too: such directories are hidden, but can be
// opened. The caller closes the Dir.
func (f *FS) Dir(pid int32) (*Dir, error) {
	if pid <= 0 {
		return nil, unix.ESRCH
	}
	var buf [pathSize]byte
	path := append(strconv.AppendInt(buf[:0], int64(pid), 10), 0)
	fd, err := f.root.open(path, unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		err = unix.ESRCH
	}
	if err != 0 {
		return nil, err
	}
	return &Dir{node: node{fd: fd, fs: f, own: true, plain: f.root.plain}}, nil
}

// OpenFD opens what descriptor fd of thread tid refers to, through the table of
// exactly that thread. EBADF: it has no such descriptor. Without O_PATH or
// O_DIRECTORY in flags the open may wait (a FIFO) or have effects (a device).
func (f *FS) OpenFD(tid, fd int32, flags int) (int, error) {
	if fd < 0 {
		return -1, unix.EBADF
	}
	d, err := f.Dir(tid)
	if err != nil {
		return -1, err
	}
	defer d.Close()
	name := "fd/" + strconv.Itoa(int(fd))
	link, err := d.link(name)
	if errors.Is(err, unix.ENOENT) {
		return -1, unix.EBADF
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(link)
	got, err := unix.Openat(d.fd, name, flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return -1, err
	}
	// Where the mount is not ours alone, something may have been put there in between.
	if again, err := d.link(name); err != nil {
		unix.Close(got)
		return -1, d.gone(err)
	} else {
		unix.Close(again)
	}
	return got, nil
}
