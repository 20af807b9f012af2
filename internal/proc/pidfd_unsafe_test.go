package proc

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestPidfdInfoLayout(t *testing.T) {
	var i pidfdInfo
	for name, row := range map[string][2]uintptr{
		"size":      {unsafe.Sizeof(i), 64},
		"mask":      {unsafe.Offsetof(i.mask), 0},
		"cgroupid":  {unsafe.Offsetof(i.cgroupID), 8},
		"pid":       {unsafe.Offsetof(i.pid), 16},
		"tgid":      {unsafe.Offsetof(i.tgid), 20},
		"ppid":      {unsafe.Offsetof(i.ppid), 24},
		"ruid":      {unsafe.Offsetof(i.ids), 28},
		"exit_code": {unsafe.Offsetof(i.exitCode), 60},
	} {
		if row[0] != row[1] {
			t.Errorf("%s: %d, want %d", name, row[0], row[1])
		}
	}
	// The size is part of the request; the rest is x/sys's.
	if PIDFD_GET_INFO&^(0x3fff<<16) != unix.PIDFD_GET_INFO&^(0x3fff<<16) || PIDFD_GET_INFO>>16&0x3fff != 64 {
		t.Errorf("PIDFD_GET_INFO %#x, x/sys has %#x", PIDFD_GET_INFO, unix.PIDFD_GET_INFO)
	}
}

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
