package proc

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// inOwnMounts runs f on a thread with a mount namespace and a new procfs of its own.
func inOwnMounts(t *testing.T, f func()) {
	t.Helper()
	requireRoot(t)
	onThread(t, func() {
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS),
			keepMounts(),
			unix.Mount("proc", "/proc", "proc", 0, ""),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		f()
	})
}

// What a sandbox mounts over a file of procfs is refused in a directory that it
// handed over, and never seen in ours. The lie is a file of the same procfs, so
// that neither filesystem nor device can tell.
func TestMountOverFile(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		c := startChild(t, nil)
		inOwnMounts(t, func() {
			for _, file := range []string{"status", "stat", "comm", "cgroup"} {
				if err := unix.Mount(path(int32(os.Getpid()), "/"+file), path(c.pid, "/"+file), "", unix.MS_BIND, ""); err != nil {
					t.Errorf("mount over %s: %v", file, err)
				}
			}
			fd, err := unix.Open(path(c.pid, ""), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil || !IsProcfs(fd) {
				t.Errorf("open the directory: %v", err)
				return
			}
			d := f.DirFromFD(fd)
			defer d.Close()
			var status Status
			var stat Stat
			wantErr(t, "status", d.Status(&status), unix.EXDEV)
			wantErr(t, "stat", d.Stat(&stat), unix.EXDEV)
			_, err = d.Comm()
			wantErr(t, "comm", err, unix.EXDEV)
			_, err = d.Cgroup()
			wantErr(t, "cgroup", err, unix.EXDEV)
			if _, err := d.NS("pid"); err != nil {
				t.Errorf("a file that is not mounted over: %v", err)
			}
			ours, err := f.Dir(c.pid)
			if err != nil {
				t.Error(err)
				return
			}
			defer ours.Close()
			if err := ours.Status(&status); err != nil || status.Pid != c.pid {
				t.Errorf("through our own procfs: %+v, %v", status, err)
			}
		})
	})
}

// A link cannot be reached by mount(2), which follows it, but by move_mount(2).
func TestMountOverLink(t *testing.T) {
	eachFS(t, func(t *testing.T, f *FS) {
		c := startChild(t, nil)
		inOwnMounts(t, func() {
			refused := ""
			for _, link := range []string{"/ns/pid", "/ns/user", "/exe", "/fd/0"} {
				lie, err := unix.OpenTree(unix.AT_FDCWD, "/proc/self/ns/uts", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
				if err != nil {
					t.Errorf("open_tree: %v", err)
					return
				}
				err = unix.MoveMount(lie, "", unix.AT_FDCWD, path(c.pid, link), unix.MOVE_MOUNT_F_EMPTY_PATH)
				_ = unix.Close(lie)
				if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
					refused = link
					continue
				}
				if err != nil {
					t.Errorf("mount over %s: %v", link, err)
					return
				}
			}
			fd, err := unix.Open(path(c.pid, ""), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			d := f.DirFromFD(fd)
			defer d.Close()
			_, err = d.NS("pid")
			wantErr(t, "ns/pid", err, unix.EXDEV)
			_, err = d.NS("user")
			wantErr(t, "ns/user", err, unix.EXDEV)
			_, err = d.Exe()
			wantErr(t, "exe", err, unix.EXDEV)

			theirs := &FS{self: f.self}
			theirs.root = node{fs: theirs, own: true, plain: f.root.plain}
			if theirs.root.fd, err = openMounted("/proc"); err != nil {
				t.Error(err)
				return
			}
			defer theirs.Close()
			// "proc: block mounting on top of ephemeral entities" (6.12) refuses.
			want := error(unix.EXDEV)
			if refused == "/fd/0" {
				want = nil
			}
			_, err = theirs.OpenFD(c.pid, 0, unix.O_PATH)
			wantErr(t, "fd/0", err, want)
		})
	})
}

func TestIsProcfs(t *testing.T) {
	for name, want := range map[string]bool{"/proc": true, "/proc/self": true, "/proc/self/task": true, "/": false, "/dev/null": false} {
		fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		if IsProcfs(fd) != want {
			t.Errorf("IsProcfs(%s) = %v", name, !want)
		}
		unix.Close(fd)
	}
	if IsProcfs(-1) {
		t.Error("IsProcfs(-1)")
	}
}

// The namespace that an open gives is held against what the link said.
func TestIsNamespace(t *testing.T) {
	fd, err := unix.Open("/proc/self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	text, err := os.Readlink("/proc/self/ns/pid")
	must(t, err)
	if !isNamespace(fd, text) {
		t.Errorf("not %s", text)
	}
	for _, text := range []string{"pid:[1]", "", "pid:[", "[", "pid"} {
		if isNamespace(fd, text) {
			t.Errorf("taken for %q", text)
		}
	}
}
