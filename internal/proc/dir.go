package proc

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Dir is a /proc/PID directory: a handle that stays with its process and gives ESRCH
// for everything once that is gone, whoever has its number then. Not for use by
// several goroutines at once. The owner of a Dir closes it.
type Dir struct {
	node
	buf []byte // what was read last; kept for the next read
}

// DirFromFD makes a Dir of a descriptor that somebody handed to us, and takes the
// descriptor over. Precondition: IsProcfs(fd). FS.DirFromFD is the better one: on
// kernels before 5.6 this one takes another file of the same procfs, bind-mounted
// over the right one, for the right one.
func DirFromFD(fd int) *Dir { return &Dir{node: node{fd: fd}} }

// DirFromFD is the function of that name, and finds every mount on every kernel.
func (f *FS) DirFromFD(fd int) *Dir {
	return &Dir{node: node{fd: fd, fs: f, plain: f.root.plain}}
}

// FD is the descriptor, owned by d. It is O_PATH where FS.Dir made it.
func (d *Dir) FD() int { return d.fd }

// Close ends the use of d.
func (d *Dir) Close() error { return unix.Close(d.fd) }

// Comm is the name that the thread has given itself: any bytes.
func (d *Dir) Comm() (string, error) {
	text, err := d.text("comm\x00")
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(text, []byte{'\n'})), nil
}

// Exe is the path of the program as the kernel prints it, " (deleted)" included.
// ENOENT: a kernel thread, or a zombie.
func (d *Dir) Exe() (string, error) {
	link, err := d.link("exe")
	if err != nil {
		return "", d.gone(err)
	}
	defer unix.Close(link)
	text, err := readlink(link)
	return text, d.gone(err)
}

// Cgroup is the path of the cgroup in the unified hierarchy, or where that has
// none, in the first one named. Cgroup names have no newline (cgroup_mkdir).
func (d *Dir) Cgroup() (string, error) {
	text, err := d.text("cgroup\x00")
	if err != nil {
		return "", err
	}
	return cgroupPath(string(text)), nil
}

// cgroupPath picks from lines of "ID:CONTROLLERS:PATH", cgroups(7).
func cgroupPath(text string) string {
	named := ""
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case id == "0" && controllers == "" && path != "/":
			return path
		case named == "" || strings.HasPrefix(controllers, "name=") && path != "/":
			named = path
		}
	}
	return named
}

// text reads a file of d in full. procfs makes a file like status at the first read
// and hands out the rest of the same text, so the result is of one moment.
func (d *Dir) text(name string) ([]byte, error) {
	var buf [pathSize]byte
	fd, errno := d.open(append(buf[:0], name...), unix.O_RDONLY)
	if errno != 0 {
		return nil, d.gone(errno)
	}
	defer unix.Close(fd)
	if d.buf == nil {
		d.buf = make([]byte, 4096)
	}
	text, errno := readAll(fd, &d.buf)
	if errno != 0 {
		return nil, d.gone(errno)
	}
	return text, nil
}

// textMax bounds a text. The longest real one is the status of a process with all
// 65,536 groups that the kernel allows.
const textMax = 2 << 20

// readAll reads fd to its end, into *buf, which it may replace by a larger one.
func readAll(fd int, buf *[]byte) ([]byte, unix.Errno) {
	for size := 0; ; {
		n, err := sys.Read(fd, (*buf)[size:])
		if err != 0 {
			return nil, err
		}
		if n == 0 {
			return (*buf)[:size], 0
		}
		size += n
		if size < len(*buf) {
			continue
		}
		if size >= textMax {
			return nil, unix.EFBIG
		}
		*buf = append(*buf, make([]byte, size)...)
	}
}

// link opens a symbolic link of procfs itself, not what it leads to.
func (d *Dir) link(name string) (int, error) {
	fd, err := d.open(append([]byte(name), 0), unix.O_PATH|unix.O_NOFOLLOW)
	if err != 0 {
		return -1, err
	}
	return fd, nil
}

// readlink reads the text of a link that is open as O_PATH.
func readlink(fd int) (string, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// gone makes ESRCH of an ENOENT that means that the process is no more.
func (d *Dir) gone(err error) error {
	if err == nil || err == unix.ESRCH { //nolint:errorlint // bare errnos only
		return err
	}
	if err != unix.ENOENT && err != unix.EINVAL { //nolint:errorlint // bare errnos only
		return fmt.Errorf("read procfs: %w", err)
	}
	if d.WasProcess() {
		return unix.ESRCH
	}
	return fmt.Errorf("read procfs: %w", err)
}
