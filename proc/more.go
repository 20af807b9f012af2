package proc

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenDir opens /proc/pid for reading, as a descriptor of the caller's to close.
func (f *FS) OpenDir(pid int32) (int, error) {
	if pid <= 0 {
		return -1, unix.ESRCH
	}
	var buf [pathSize]byte
	path := append(strconv.AppendInt(buf[:0], int64(pid), 10), 0)
	fd, err := f.root.open(path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != 0 {
		return -1, err
	}
	return fd, nil
}

// OpenAt opens one file of a process or thread for reading.
func (f *FS) OpenAt(pid int32, name string) (int, error) {
	var buf [pathSize]byte
	path := append(strconv.AppendInt(buf[:0], int64(pid), 10), '/')
	path = append(append(path, name...), 0)
	fd, err := f.root.open(path, unix.O_RDONLY)
	if err != 0 {
		return -1, err
	}
	return fd, nil
}

// ReadText reads a small file of d in full.
func (d *Dir) ReadText(name string) (string, error) {
	text, err := d.text(name + "\x00")
	return string(text), err
}

// Has tells whether d has an entry of the given name.
func (d *Dir) Has(name string) bool {
	fd, err := d.open(append([]byte(name), 0), unix.O_PATH|unix.O_NOFOLLOW)
	if err != 0 {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// EachPid calls f with the number of every process that the procfs shows, until f
// returns false.
func (f *FS) EachPid(visit func(pid int32) bool) error {
	fd, errno := f.root.open([]byte(".\x00"), unix.O_RDONLY|unix.O_DIRECTORY)
	if errno != 0 {
		return errno
	}
	defer unix.Close(fd)
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil || n <= 0 {
			return err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if pid, ok := pidNumber([]byte(name)); ok && !visit(pid) {
				return nil
			}
		}
	}
}
