package proc

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// FdInfo is what /proc/TID/fdinfo/N says of a descriptor.
type FdInfo struct {
	Flags   uint32 // of open(2), O_CLOEXEC as the table has it
	MountID int32

	// HasPid marks a pidfd. Pid is its process or thread in the pid namespace of
	// the procfs: 0 outside of that, -1 once reaped. NSpid goes on inwards.
	HasPid bool
	Pid    int32
	NSpid  [32]int32
	NSpids int
}

// FdInfo looks at descriptor fd of thread tid, in the table of exactly that thread.
// EBADF: there is no such descriptor. ESRCH: no such thread. Of what is neither a pidfd nor a
// file that has a path nothing is said but that there is such a descriptor.
func (f *FS) FdInfo(tid, fd int32) (FdInfo, error) {
	var info FdInfo
	if tid != f.self && f.waits(tid, fd) {
		return info, nil
	}
	err := f.fdInfo(tid, fd, false, &info)
	return info, err
}

// waits tells whether what fdinfo says of a descriptor may be waited for: that of an epoll
// descriptor takes its mutex (fs/eventpoll.c, ep_show_fdinfo), which an epoll_wait holds that stores
// to a page that never comes, and the wait for it ends with nothing, not even SIGKILL. The link does
// not touch the file (fs/proc/fd.c, proc_fd_link). A file's own name begins with a slash.
func (f *FS) waits(tid, fd int32) bool {
	if fd < 0 || tid <= 0 {
		return false
	}
	var path [pathSize]byte
	p := strconv.AppendInt(path[:0], int64(tid), 10)
	p = append(p, "/fd/"...)
	p = strconv.AppendInt(p, int64(fd), 10)
	var link [len("anon_inode:[pidfd]") + 1]byte
	n, err := unix.Readlinkat(f.root.fd, string(p), link[:])
	return err == nil && link[0] != '/' && !isPidfd(link[:n]) && !bytes.HasPrefix(link[:n], []byte("pipe:["))
}

// Place says whether descriptor fd of thread tid is a pidfd, and else which mount its file is in.
// It is told by a path of ours to that file: whoever puts another there meanwhile (see waits) has
// neither waited for, and the path's own fdinfo asks no file (fs/open.c, do_dentry_open, empty_fops).
func (f *FS) Place(tid, fd int32) (mount int32, pidfd bool, err error) {
	path, err := f.OpenFD(tid, fd, unix.O_PATH)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(path)
	var link [len("anon_inode:[pidfd]") + 1]byte
	n, err := unix.Readlinkat(f.root.fd, "self/fd/"+strconv.Itoa(path), link[:])
	if err != nil {
		return 0, false, err
	}
	if isPidfd(link[:n]) {
		return 0, true, nil
	}
	mount, err = f.mountID(path)
	return mount, false, err
}

// isPidfd goes by a link of fd. A file's own name begins with a slash.
func isPidfd(link []byte) bool {
	return string(link) == "anon_inode:[pidfd]" || bytes.HasPrefix(link, []byte("pidfd:"))
}

// Pipe tells whether a task's descriptor is a pipe, and which. What is a file of a file system,
// whoever serves that, has a path; names of pipes do not begin with a slash.
func (f *FS) Pipe(tid, fd int32) (inode uint64, is bool) {
	if fd < 0 || tid <= 0 {
		return 0, false
	}
	var path [pathSize]byte
	p := strconv.AppendInt(path[:0], int64(tid), 10)
	p = append(p, "/fd/"...)
	p = strconv.AppendInt(p, int64(fd), 10)
	var link [64]byte
	n, err := unix.Readlinkat(f.root.fd, string(p), link[:])
	if err != nil {
		return 0, false
	}
	text, is := bytes.CutPrefix(link[:n], []byte("pipe:["))
	if text, closed := bytes.CutSuffix(text, []byte("]")); is && closed {
		return number(text, 10)
	}
	return 0, false
}

// FdInfoSelf looks at a descriptor of ours.
func (f *FS) FdInfoSelf(fd int) (FdInfo, error) { return f.FdInfo(f.self, int32(fd)) }

// mountID is the mount that our descriptor fd is in. It asks /proc without looking
// for mounts there, as it is what looking is made of: only a supervisor without
// privilege has a procfs that others can mount over, and then they need what it lacks.
func (f *FS) mountID(fd int) (int32, error) {
	var info FdInfo
	err := f.fdInfo(f.self, int32(fd), true, &info)
	return info.MountID, err
}

func (f *FS) fdInfo(tid, fd int32, unchecked bool, into *FdInfo) error {
	if fd < 0 {
		return unix.EBADF
	}
	if tid <= 0 {
		return unix.ESRCH
	}
	var path [pathSize]byte
	p := strconv.AppendInt(path[:0], int64(tid), 10)
	p = append(p, "/fdinfo/"...)
	p = append(strconv.AppendInt(p, int64(fd), 10), 0)
	file, err := f.openFdInfo(p, unchecked)
	if err == unix.ENOENT {
		return f.missing(tid)
	}
	if err != 0 {
		return fmt.Errorf("open fdinfo: %w", err)
	}
	defer unix.Close(file)
	var buf [1024]byte
	n, err := sys.Read(file, buf[:])
	if err == 0 && n == len(buf) {
		return into.parseLong(file, bytes.Clone(buf[:]))
	}
	if err != 0 {
		return fmt.Errorf("read fdinfo: %w", err)
	}
	into.parse(buf[:n])
	return nil
}

// parseLong is parse for a text that goes on in file.
func (i *FdInfo) parseLong(file int, start []byte) error {
	rest := make([]byte, 4096)
	text, err := readAll(file, &rest)
	if err != 0 {
		return fmt.Errorf("read fdinfo: %w", err)
	}
	i.parse(append(start, text...))
	return nil
}

func (f *FS) openFdInfo(path []byte, unchecked bool) (int, unix.Errno) {
	if !unchecked {
		return f.root.open(path, unix.O_RDONLY)
	}
	fd, err := unix.Openat(f.root.fd, string(path[:len(path)-1]), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, errno(err)
	}
	return fd, 0
}

// missing says whether it is the descriptor or the thread that is not there.
func (f *FS) missing(tid int32) error {
	d, err := f.Dir(tid)
	if err != nil {
		return err
	}
	_ = d.Close()
	return unix.EBADF
}

// parse takes the lines that are known. A line about a lock comes before Pid and
// there may be many (show_fd_locks, fs/locks.c), but none looks like it.
func (i *FdInfo) parse(text []byte) {
	*i = FdInfo{}
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		key, value, _ := bytes.Cut(line, []byte{':'})
		first, _ := nextField(value)
		switch string(key) {
		case "flags":
			n, _ := number(first, 8)
			i.Flags = uint32(n)
		case "mnt_id":
			i.MountID, _ = pidNumber(first)
		case "Pid":
			i.Pid, i.HasPid = pidNumber(first)
		case "NSpid":
			i.NSpids = pids(value, &i.NSpid)
		}
	}
}
