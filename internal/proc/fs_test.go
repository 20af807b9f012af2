package proc

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOwnStatus(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		onThread(t, func() {
			// The worst name there is room for.
			name := "a) R 1\n\\(:\t"
			if err := setName(name); err != nil {
				t.Error(err)
				return
			}
			tid := int32(unix.Gettid())
			d, err := f.Dir(tid)
			if err != nil {
				t.Error(err)
				return
			}
			defer d.Close()
			var s Status
			if err := d.Status(&s); err != nil {
				t.Error(err)
			}
			if s.Pid != tid || int(s.Tgid) != os.Getpid() || int(s.PPid) != os.Getppid() || int(s.UID[1]) != os.Geteuid() ||
				strings.TrimRight(string(s.Name[:]), "\x00") != name || s.NSpids < 1 || s.NSpid[0] != tid {
				t.Errorf("status %+v of thread %d", s, tid)
			}
			if comm, err := d.Comm(); comm != name || err != nil {
				t.Errorf("comm %q, %v", comm, err)
			}
			var stat Stat
			if err := d.Stat(&stat); err != nil || int(stat.PPid) != os.Getppid() || int(stat.Pgrp) != unix.Getpgrp() || stat.Start == 0 {
				t.Errorf("stat %+v, %v", stat, err)
			}
		})
	})
}

func TestExeAndCgroup(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		d := openDir(t, f, int32(os.Getpid()))
		want, err := os.Executable()
		must(t, err)
		if got, err := d.Exe(); got != want || err != nil {
			t.Errorf("exe %q, %v, want %q", got, err, want)
		}
		if _, err := d.Cgroup(); err != nil {
			t.Error(err)
		}
		kthreadd, err := f.Dir(2)
		if err != nil {
			t.Skipf("no kernel thread here: %v", err)
		}
		defer kthreadd.Close()
		_, err = kthreadd.Exe()
		wantErr(t, "exe of a kernel thread", err, unix.ENOENT)
	})
}

// A Dir stays with its process, and all that it is asked afterwards gives ESRCH.
func TestGone(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		c := startChild(t, nil)
		d := openDir(t, f, c.pid)
		c.end()
		var status Status
		var stat Stat
		wantErr(t, "status", d.Status(&status), unix.ESRCH)
		wantErr(t, "stat", d.Stat(&stat), unix.ESRCH)
		_, err := d.Comm()
		wantErr(t, "comm", err, unix.ESRCH)
		_, err = d.Exe()
		wantErr(t, "exe", err, unix.ESRCH)
		_, err = d.Cgroup()
		wantErr(t, "cgroup", err, unix.ESRCH)
		_, err = d.NS("pid")
		wantErr(t, "ns", err, unix.ESRCH)
		_, err = f.Dir(c.pid)
		wantErr(t, "dir", err, unix.ESRCH)
		_, err = f.FdInfo(c.pid, 0)
		wantErr(t, "fdinfo", err, unix.ESRCH)
		_, err = f.OpenFD(c.pid, 0, unix.O_PATH)
		wantErr(t, "fd", err, unix.ESRCH)
		for _, pid := range []int32{0, -1, 1<<31 - 1} {
			_, err = f.Dir(pid)
			wantErr(t, "dir of a number that is none", err, unix.ESRCH)
		}
	})
}

// An open file of status whose process ends before the read.
func TestGoneBetweenOpenAndRead(t *testing.T) {
	f := openFS(t)
	c := startChild(t, nil)
	d := openDir(t, f, c.pid)
	fd, errno := d.open([]byte("status\x00"), unix.O_RDONLY)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer unix.Close(fd)
	c.end()
	buf := make([]byte, 64)
	_, errno = readAll(fd, &buf)
	wantErr(t, "read", d.gone(errno), unix.ESRCH)
}

func TestReadingAllocatesNothing(t *testing.T) {
	f := openFS(t)
	d := openDir(t, f, int32(os.Getpid()))
	var status Status
	var stat Stat
	var info Info
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	must(t, err)
	defer unix.Close(pidfd)
	must(t, d.Status(&status))
	for name, read := range map[string]func(){
		"status": func() { _ = d.Status(&status) },
		"stat":   func() { _ = d.Stat(&stat) },
		"fdinfo": func() { _, _ = f.FdInfo(f.self, int32(pidfd)) },
		"pidfd":  func() { _ = PidfdInfo(pidfd, &info) },
	} {
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A status may be longer than any buffer thought of: 65,536 groups are allowed.
func TestLongStatus(t *testing.T) {
	requireRoot(t)
	groups := make([]uint32, 20000)
	for i := range groups {
		groups[i] = 4000000000 + uint32(i)
	}
	c := startChild(t, &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: groups}})
	d := openDir(t, openFS(t), c.pid)
	var s Status
	must(t, d.Status(&s))
	if len(d.buf) < 200000 {
		t.Fatalf("the text was only %d bytes long", len(d.buf))
	}
	if s.Pid != c.pid || s.NSpids != 1 || s.Threads == 0 {
		t.Errorf("status %+v", s)
	}
}

// The mount is ours alone: it is not in our mount namespace and no child gets it.
func TestDetached(t *testing.T) {
	requireRoot(t)
	before := mounts(t)
	f := openFS(t)
	if !f.Detached() {
		t.Error("root has no detached mount")
	}
	fd, err := throwaway()
	must(t, err)
	old := &FS{detached: true, self: int32(os.Getpid())}
	old.root = node{fd: fd, fs: old, own: true, plain: true}
	defer old.Close()
	if after := mounts(t); after != before {
		t.Errorf("mounts before:\n%safter:\n%s", before, after)
	}
	for name, f := range map[string]*FS{"fsmount": f, "throwaway": old} {
		var s Status
		if d := openDir(t, f, int32(os.Getpid())); d.Status(&s) != nil || int(s.Pid) != os.Getpid() {
			t.Errorf("%s: status %+v", name, s)
		}
		info, err := f.FdInfoSelf(f.FD())
		if err != nil || info.Flags&unix.O_CLOEXEC == 0 {
			t.Errorf("%s: descriptor %+v, %v", name, info, err)
		}
	}
}

func mounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	must(t, err)
	return string(text)
}

// Without privilege there is /proc.
func TestOpenMounted(t *testing.T) {
	fd, err := openMounted("/proc")
	must(t, err)
	f := &FS{self: int32(os.Getpid())}
	f.root = node{fd: fd, fs: f, own: true}
	defer f.Close()
	for _, plain := range []bool{false, true} {
		f.root.plain = plain
		var s Status
		if d := openDir(t, f, int32(os.Getpid())); d.Status(&s) != nil || int(s.Pid) != os.Getpid() {
			t.Errorf("plain %v: status %+v", plain, s)
		}
	}
	if _, err := openMounted("/"); err == nil {
		t.Error("took / for a procfs")
	}
}

func TestFdInfo(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		c := startChild(t, nil)
		pidfd, err := unix.PidfdOpen(int(c.pid), 0)
		must(t, err)
		defer unix.Close(pidfd)
		if info, err := f.FdInfoSelf(pidfd); err != nil || !info.HasPid || info.Pid != c.pid || info.NSpids != 1 || info.NSpid[0] != c.pid {
			t.Errorf("pidfd: %+v, %v", info, err)
		}
		if info, err := f.FdInfo(c.pid, 0); err != nil || info.HasPid || info.Flags&unix.O_PATH != 0 || info.MountID == 0 {
			t.Errorf("a child's pipe, which has nothing to tell that it could wait for: %+v, %v", info, err)
		}
		if info, err := f.FdInfoSelf(f.FD()); err != nil || info.Flags&unix.O_PATH == 0 {
			t.Errorf("O_PATH: %+v, %v", info, err)
		}
		c.end()
		if info, err := f.FdInfoSelf(pidfd); err != nil || !info.HasPid || info.Pid != -1 {
			t.Errorf("reaped: %+v, %v", info, err)
		}
		for _, fd := range []int{-1, 1<<31 - 1} {
			_, err := f.FdInfoSelf(fd)
			wantErr(t, "no descriptor", err, unix.EBADF)
			_, err = f.OpenFD(f.self, int32(fd), unix.O_PATH)
			wantErr(t, "no descriptor", err, unix.EBADF)
		}
	})
}

// TestPlace: nothing but a path is had of what a caller may put there, whatever it is.
func TestPlace(t *testing.T) {
	tids, end, ended := make(chan int), make(chan bool), make(chan bool)
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	must(t, err)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	must(t, err)
	dir, err := unix.Open("/proc/self", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	go onThread(t, func() {
		defer close(ended)
		_ = unix.Unshare(unix.CLONE_FILES) // with a table of its own, whose numbers mean nothing in ours
		tids <- unix.Gettid()
		<-end
	})
	tid := int32(<-tids)
	for _, fd := range []int{pidfd, epoll, dir} {
		unix.Close(fd)
	}
	eachFS(t, func(t *testing.T, f *FS) {
		for _, row := range []struct {
			fd    int
			pidfd bool
			kind  string
		}{{pidfd, true, ""}, {epoll, false, ""}, {dir, false, "proc"}} {
			mount, pidfd, err := f.Place(tid, int32(row.fd))
			if kind, _ := f.MountType(tid, mount); err != nil || pidfd != row.pidfd || kind != row.kind {
				t.Errorf("%+v: pidfd %t in a mount of %q, %v", row, pidfd, kind, err)
			}
		}
		_, _, err := f.Place(tid, 1<<30)
		wantErr(t, "no descriptor", err, unix.EBADF)
	})
	close(end)
	<-ended
}

// Locks put lines of their own before Pid, as many as their holder likes.
func TestFdInfoBehindLocks(t *testing.T) {
	f := openFS(t)
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	must(t, err)
	defer unix.Close(pidfd)
	for i := range 500 {
		lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(2 * i), Len: 1}
		if err := unix.FcntlFlock(uintptr(pidfd), unix.F_OFD_SETLK, &lock); err != nil {
			t.Skipf("a pidfd takes no lock here: %v", err)
		}
	}
	if info, err := f.FdInfoSelf(pidfd); err != nil || int(info.Pid) != os.Getpid() {
		t.Errorf("%+v, %v", info, err)
	}
}

// A thread may have a table of its own.
func TestDescriptorsOfExactlyThatThread(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		onThread(t, func() {
			if err := unix.Unshare(unix.CLONE_FILES); err != nil {
				t.Error(err)
				return
			}
			null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			const number = 777
			if err := unix.Dup3(null, number, unix.O_CLOEXEC); err != nil {
				t.Error(err)
				return
			}
			tid := int32(unix.Gettid())
			if info, err := f.FdInfo(tid, number); err != nil || info.Flags&unix.O_ACCMODE != unix.O_RDWR {
				t.Errorf("of the thread: %+v, %v", info, err)
			}
			_, err = f.FdInfo(f.self, number)
			wantErr(t, "of its process", err, unix.EBADF)
			fd, err := f.OpenFD(tid, number, unix.O_PATH)
			var a, b unix.Stat_t
			if err != nil || unix.Fstat(fd, &a) != nil || unix.Fstat(null, &b) != nil || a.Rdev != b.Rdev {
				t.Errorf("open: %v, device %x, want %x", err, a.Rdev, b.Rdev)
			}
		})
	})
}
