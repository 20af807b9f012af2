package proc

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that tests look at: it says that it runs and
// then waits for the end of its input.
func TestMain(m *testing.M) {
	if os.Getenv("PROC_TEST_ROLE") == "wait" {
		_, _ = os.Stdout.Write([]byte{'.'})
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child is a process that runs until it is ended.
type child struct {
	cmd *exec.Cmd
	pid int32
	end func()
}

func startChild(t *testing.T, attr *syscall.SysProcAttr) child {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"PROC_TEST_ROLE=wait"}
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	if err := cmd.Start(); err != nil {
		t.Skipf("start a child: %v", err)
	}
	_, err = io.ReadFull(out, make([]byte, 1))
	must(t, err)
	ended := false
	c := child{cmd: cmd, pid: int32(cmd.Process.Pid)}
	c.end = func() {
		if !ended {
			ended = true
			_ = in.Close()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(c.end)
	return c
}

// eachFS tests with an FS as it is on this kernel, and as it is before 5.6.
func eachFS(t *testing.T, test func(*testing.T, *FS)) {
	for name, plain := range map[string]bool{"openat2": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			f := openFS(t)
			f.root.plain = plain
			test(t, f)
		})
	}
}

func openFS(t *testing.T) *FS {
	t.Helper()
	f, err := Open()
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

func openDir(t *testing.T, f *FS, pid int32) *Dir {
	t.Helper()
	d, err := f.Dir(pid)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// onThread runs f on a thread of its own, which ends afterwards with whatever f did
// to it.
func onThread(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		defer close(done)
		if unix.Gettid() == unix.Getpid() {
			onThread(t, f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func path(pid int32, rest string) string { return "/proc/" + strconv.Itoa(int(pid)) + rest }
