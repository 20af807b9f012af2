package notify

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// duplicate is a second descriptor of the launched listener, as a runtime would send it.
func duplicate(t *testing.T, l *Listener) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "handed over")
}

func TestAdoptedListenerServesUntilHangUp(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "2")
		adopted, err := Adopt(duplicate(t, c.Listener))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var call shim.Call
			if err := within(t, "a call", func() error { return nextShared(adopted, &call) }); err != nil {
				t.Fatal(err)
			}
			if err := adopted.Answer(&call, shim.Return(7)); err != nil {
				t.Error(err)
			}
			c.expectLine("7")
		}
		c.reap()
		var call shim.Call
		if err := within(t, "hang-up", func() error { return nextShared(adopted, &call) }); !errors.Is(err, io.EOF) {
			t.Errorf("after the last caller: %v, want EOF", err)
		}
	})
}

// nextShared takes a call as a pool does (shim.Shared, shim.Heir): those that were left first,
// then one for which the descriptor could be read.
func nextShared(l *Listener, call *shim.Call) error {
	for {
		found, again := l.Left(call)
		if found {
			return nil
		}
		timeout := -1
		if again > 0 {
			timeout = int(again.Milliseconds())
		}
		fds := []unix.PollFd{{Fd: int32(l.Descriptor()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return shim.ErrGone
		case fds[0].Revents&unix.POLLIN != 0:
			return l.Next(call)
		default:
			return io.EOF
		}
	}
}

func TestAdoptRefusesOtherDescriptors(t *testing.T) {
	pidfd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		t.Fatal(err)
	}
	named := t.TempDir() + "/anon_inode:seccomp notify"
	if err := os.WriteFile(named, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{named, os.DevNull, "/proc/self"} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, file)
	}
	refused(t, os.NewFile(uintptr(pidfd), "pidfd"))
}

func refused(t *testing.T, file *os.File) {
	t.Helper()
	if _, err := Adopt(file); !errors.Is(err, errNoListener) {
		t.Errorf("%s: %v, want errNoListener", file.Name(), err)
	}
	if _, err := file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%s is still open", file.Name())
	}
}
