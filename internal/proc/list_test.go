package proc

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestEachPid(t *testing.T) {
	f := openFS(t)
	c := startChild(t, nil)
	var seen []int32
	must(t, f.EachPid(func(pid int32) bool {
		seen = append(seen, pid)
		return true
	}))
	if !slices.Contains(seen, f.self) || !slices.Contains(seen, c.pid) || !slices.IsSorted(seen) {
		t.Errorf("saw %v, want %d and %d among them", seen, f.self, c.pid)
	}
	calls := 0
	must(t, f.EachPid(func(int32) bool {
		calls++
		return false
	}))
	if calls != 1 {
		t.Errorf("%d calls after the first said stop", calls)
	}
}

func TestOpenDirIsAHandle(t *testing.T) {
	f := openFS(t)
	c := startChild(t, nil)
	fd, err := f.OpenDir(c.pid)
	must(t, err)
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil {
		t.Errorf("pidfd_send_signal: %v", err)
	}
	c.end()
	wantErr(t, "reaped", unix.PidfdSendSignal(fd, 0, nil, 0), unix.ESRCH)
	_, err = f.OpenDir(c.pid)
	wantErr(t, "open again", err, unix.ESRCH)
	_, err = f.OpenAt(c.pid, "status")
	wantErr(t, "a file", err, unix.ESRCH)
}

func TestOpenAt(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		fd, err := f.OpenAt(f.self, "uid_map")
		must(t, err)
		unix.Close(fd)
		_, err = f.OpenAt(f.self, "no_such_file")
		wantErr(t, "no such file", err, unix.ENOENT)
		_, err = f.OpenAt(f.self, "exe")
		wantErr(t, "a link", err, unix.ELOOP)
		_, err = f.OpenAt(f.self, "../version")
		if err == nil {
			t.Error("opened a file outside of the directory")
		}
		d := openDir(t, f, f.self)
		if text, err := d.ReadText("uid_map"); err != nil || text == "" {
			t.Errorf("uid_map %q, %v", text, err)
		}
		if !d.Has("task") || !d.Has("exe") || d.Has("nothing") {
			t.Error("Has is wrong")
		}
	})
}

// Handed over, the directories of a dead process all look alike but for one thing.
func TestWasProcess(t *testing.T) {
	f := openFS(t)
	c := startChild(t, nil)
	type row struct {
		name string
		dir  *Dir
		want bool
	}
	open := func(name string) *Dir {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		d := f.DirFromFD(fd)
		t.Cleanup(func() { must(t, d.Close()) })
		return d
	}
	rows := []row{{"the process", open(path(c.pid, "")), true}}
	for _, name := range []string{"/task", "/fd", "/fdinfo", "/ns", "/attr"} {
		rows = append(rows, row{name, open(path(c.pid, name)), false})
	}
	thread := path(c.pid, "/task") + path(c.pid, "")[len("/proc"):]
	rows = append(rows, row{"the thread", open(thread), false}, row{"ours, alive", open(path(int32(os.Getpid()), "")), false})
	for _, name := range []string{"/proc", "/proc/tty", "/proc/sys", "/proc/self/net", "/proc/irq"} {
		if _, err := os.Stat(name); err == nil {
			rows = append(rows, row{name, open(name), false})
		}
	}
	for _, r := range rows {
		if r.dir.WasProcess() {
			t.Errorf("%s: dead already", r.name)
		}
	}
	c.end()
	for _, r := range rows {
		if got := r.dir.WasProcess(); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
	var s Status
	wantErr(t, "status of a directory that is no process's", rows[len(rows)-1].dir.Status(&s), unix.ENOENT)
}
