package proc

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// An init of a pid namespace inside a pid namespace would be three deep; two show
// the order of the numbers.
func TestPidNamespace(t *testing.T) {
	requireRoot(t)
	eachFS(t, func(t *testing.T, f *FS) {
		c := startChild(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID})
		d := openDir(t, f, c.pid)
		var s Status
		must(t, d.Status(&s))
		if s.NSpids != 2 || s.NSpid[0] != c.pid || s.NSpid[1] != 1 {
			t.Errorf("NSpid %v of %d", s.NSpid[:s.NSpids], c.pid)
		}
		ns, err := d.OpenNS("pid")
		must(t, err)
		defer unix.Close(ns)
		id, err := NSOf(ns)
		must(t, err)
		named, err := d.NS("pid")
		must(t, err)
		ours, err := openDir(t, f, int32(os.Getpid())).NS("pid")
		must(t, err)
		if id != named || id == ours || id == (NSID{}) {
			t.Errorf("namespace %v by descriptor, %v by name, ours %v", id, named, ours)
		}
		parent, err := NSParent(ns)
		must(t, err)
		defer unix.Close(parent)
		if got, err := NSOf(parent); err != nil || got != ours {
			t.Errorf("parent %v, %v, want %v", got, err, ours)
		}
		_, err = NSParent(parent)
		wantErr(t, "parent of our own", err, unix.EPERM)
		directions(t, ns, c.pid)
	})
}

// directions pins what <linux/nsfs.h> says of FROM and IN, with a process whose two
// numbers differ.
func directions(t *testing.T, ns int, pid int32) {
	t.Helper()
	for _, row := range []struct {
		name     string
		ask      func(int, int32) (int32, error)
		in, want int32
	}{
		{"PID_FROM", PidFromPidns, 1, pid},
		{"PID_IN", PidInPidns, pid, 1},
	} {
		got, err := row.ask(ns, row.in)
		if errors.Is(err, unix.ENOTTY) {
			t.Skipf("NS_GET_%s_PIDNS: %v", row.name, err)
		}
		if err != nil || got != row.want {
			t.Errorf("NS_GET_%s_PIDNS(%d) = %d, %v, want %d", row.name, row.in, got, err, row.want)
		}
		_, err = row.ask(ns, 0)
		wantErr(t, row.name+" of 0", err, unix.ESRCH)
		_, err = row.ask(ns, 1<<22+1)
		wantErr(t, row.name+" of nobody", err, unix.ESRCH)
	}
	_, err := PidInPidns(ns, int32(os.Getpid()))
	wantErr(t, "PID_IN of a process outside", err, unix.ESRCH)
}

func TestUserNamespace(t *testing.T) {
	requireRoot(t)
	f := openFS(t)
	c := startChild(t, &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		Credential:  &syscall.Credential{},
	})
	d := openDir(t, f, c.pid)
	user, err := d.OpenNS("user")
	must(t, err)
	defer unix.Close(user)
	if uid, err := NSOwnerUID(user); err != nil || uid != 0 {
		t.Errorf("owner %d, %v, want root, who made it", uid, err)
	}
	var s Status
	if err := d.Status(&s); err != nil || s.UID[0] != 1000 {
		t.Errorf("uid %v, %v, want 1000, as we number it", s.UID, err)
	}
}
