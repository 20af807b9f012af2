package proc

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPidfdInfo(t *testing.T) {
	requireRoot(t)
	c := startChild(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 1002}})
	fd, err := unix.PidfdOpen(int(c.pid), 0)
	must(t, err)
	defer unix.Close(fd)
	var got Info
	if err := PidfdInfo(fd, &got); errors.Is(err, unix.ENOTTY) {
		t.Skipf("PIDFD_GET_INFO: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	want := Info{
		CgroupID: got.CgroupID, Pid: c.pid, Tgid: c.pid, PPid: int32(os.Getpid()),
		RUID: 1001, EUID: 1001, SUID: 1001, FSUID: 1001, RGID: 1002, EGID: 1002, SGID: 1002, FSGID: 1002,
	}
	if got != want || got.CgroupID == 0 {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if PidfdEnded(fd) {
		t.Error("a process that lives has ended")
	}
	c.end()
	wantErr(t, "reaped", PidfdInfo(fd, &got), unix.ESRCH)
	if !PidfdEnded(fd) {
		t.Error("a process that was reaped has not ended")
	}
}

func TestPidfdInfoOfOtherFiles(t *testing.T) {
	for _, name := range []string{"/dev/null", "/proc/self", "/"} {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		var info Info
		wantErr(t, name, PidfdInfo(fd, &info), unix.ENOTTY)
		unix.Close(fd)
	}
}
