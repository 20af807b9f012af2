package proc

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// EachPid calls visit for every process that there is, in rising order, until it
// returns false. Processes come and go meanwhile.
func (f *FS) EachPid(visit func(pid int32) bool) error {
	dir, err := unix.Openat(f.root.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("list procfs: %w", err)
	}
	defer unix.Close(dir)
	return eachNumber(dir, visit)
}

// EachTask is EachPid for every thread of every process.
func (f *FS) EachTask(visit func(tid int32) bool) error {
	more := true
	return f.EachPid(func(pid int32) bool {
		_ = f.EachThread(pid, func(tid int32) bool {
			more = visit(tid)
			return more
		})
		return more
	})
}

// EachThread is EachPid for the threads of a process.
func (f *FS) EachThread(pid int32, visit func(tid int32) bool) error {
	dir, err := f.OpenAt(pid, "task")
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return eachNumber(dir, visit)
}

// eachNumber calls visit for every entry of a directory that is a number.
func eachNumber(dir int, visit func(pid int32) bool) error {
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil {
			return fmt.Errorf("list procfs: %w", err)
		}
		if n == 0 {
			return nil
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			pid, err := strconv.ParseInt(name, 10, 32)
			if err == nil && !visit(int32(pid)) {
				return nil
			}
		}
	}
}

// OpenDir opens /proc/pid as pidfd_send_signal(2) wants it: not O_PATH. The caller
// closes the descriptor.
func (f *FS) OpenDir(pid int32) (int, error) {
	d, err := f.Dir(pid)
	if err != nil {
		return -1, err
	}
	defer d.Close()
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, d.gone(err)
	}
	return fd, nil
}

// OpenAt opens the file /proc/tid/name for reading. The caller closes it.
func (f *FS) OpenAt(tid int32, name string) (int, error) {
	d, err := f.Dir(tid)
	if err != nil {
		return -1, err
	}
	defer d.Close()
	return d.Open(name)
}

// Open opens a file of d for reading. The caller closes it.
func (d *Dir) Open(name string) (int, error) {
	fd, errno := d.open(append([]byte(name), 0), unix.O_RDONLY)
	if errno != 0 {
		return -1, d.gone(errno)
	}
	return fd, nil
}

// ReadText reads a file of d in full.
func (d *Dir) ReadText(name string) (string, error) {
	text, err := d.text(name + "\x00")
	return string(text), err
}

// Has tells whether d has a file or directory of that name now.
func (d *Dir) Has(name string) bool {
	fd, err := d.open(append([]byte(name), 0), unix.O_PATH|unix.O_NOFOLLOW)
	if err != 0 {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// WasProcess tells a /proc/PID directory whose process is gone from every other
// directory. The dead one can no longer be listed, and still has the link count that
// the kernel gives to directories of its kind alone (nlink_tgid, fs/proc/base.c). A
// Dir of the function DirFromFD has no procfs to compare counts with and takes any
// directory of a dead process for one.
func (d *Dir) WasProcess() bool {
	if d.own {
		return !d.Has("stat")
	}
	if d.listable() {
		return false
	}
	if d.fs == nil {
		return true
	}
	var theirs, ours unix.Stat_t
	err := unix.Fstatat(d.fs.root.fd, strconv.Itoa(int(d.fs.self)), &ours, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && unix.Fstat(d.fd, &theirs) == nil && theirs.Nlink == ours.Nlink
}

// listable tells whether d has something in it.
func (d *Dir) listable() bool {
	fd, err := unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var buf [512]byte
	n, err := unix.ReadDirent(fd, buf[:])
	return err == nil && n > 0
}
