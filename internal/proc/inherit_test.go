package proc

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// What an executed program goes on with has to be a procfs of its own pid namespace.
func TestInherit(t *testing.T) {
	requireRoot(t)
	own, err := Open()
	must(t, err)
	defer own.Close()
	fd, err := unix.FcntlInt(uintptr(own.FD()), unix.F_DUPFD, 3)
	must(t, err)
	f, err := Inherit(fd)
	must(t, err)
	defer f.Close()
	d, err := f.Dir(int32(os.Getpid()))
	must(t, err)
	defer d.Close()
	var status Status
	if err := d.Status(&status); err != nil || status.Pid != int32(os.Getpid()) || !f.Detached() {
		t.Errorf("through it: %+v, %v", status, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("it is left to who is executed: %#x, %v", flags, err)
	}
	for _, path := range []string{"/", "/proc/self/task", "/proc/1"} {
		other, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		if _, err := Inherit(other); err == nil {
			t.Errorf("%s was taken for it", path)
		}
		unix.Close(other)
	}
}
