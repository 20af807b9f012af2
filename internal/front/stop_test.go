package front

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitFront waits for a stop or a continuation of the front.
func waitFront(t *testing.T, pid int) unix.WaitStatus {
	t.Helper()
	type result struct {
		status unix.WaitStatus
		err    error
	}
	events := make(chan result, 1)
	go func() {
		var r result
		for {
			_, r.err = unix.Wait4(pid, &r.status, unix.WUNTRACED|unix.WCONTINUED, nil)
			if r.err != unix.EINTR {
				break
			}
		}
		events <- r
	}()
	select {
	case r := <-events:
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.status
	case <-time.After(limit):
		t.Fatal("the front neither stopped nor went on")
		panic("unreachable")
	}
}

// TestStopsAreMirrored: with the same signal, and in order however fast.
func TestStopsAreMirrored(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGSTOP, unix.SIGTTIN, unix.SIGTTOU} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			s := start(t, "run", "sh", "-c", "echo $$; exec cat")
			command := pidLine(t, s)
			for range 50 {
				if err := unix.Kill(command, sig); err != nil {
					t.Fatal(err)
				}
				if status := waitFront(t, s.Process.Pid); !status.Stopped() || status.StopSignal() != sig {
					t.Fatalf("the front: %#x, want a stop by %v", status, sig)
				}
				if err := unix.Kill(command, unix.SIGCONT); err != nil {
					t.Fatal(err)
				}
				if status := waitFront(t, s.Process.Pid); !status.Continued() {
					t.Fatalf("the front: %#x, want to go on", status)
				}
			}
			s.in.Close()
			if got := s.status(); got != 0 {
				t.Errorf("status %d, want 0", got)
			}
		})
	}
}

// TestContinueRightAfterStop: whatever of the two the front sees first, it runs in
// the end.
func TestContinueRightAfterStop(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGSTOP} {
		s := start(t, "run", "sh", "-c", "echo $$; exec cat")
		command := pidLine(t, s)
		for range 200 {
			for _, sig := range []unix.Signal{sig, unix.SIGCONT} {
				if err := unix.Kill(command, sig); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.in.Close()
		if got := s.status(); got != 0 {
			t.Errorf("%v: status %d, want 0", sig, got)
		}
	}
}

// TestContinueToFront: SIGCONT sent to the front alone reaches a stopped COMMAND.
func TestContinueToFront(t *testing.T) {
	s := start(t, "run", "sh", "-c", "echo $$; exec cat")
	command := pidLine(t, s)
	if err := unix.Kill(command, unix.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	waitFront(t, s.Process.Pid)
	s.signalFront(unix.SIGCONT)
	s.in.Close()
	if got := s.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestStopToFront: SIGTSTP sent to the front stops COMMAND, and so the front.
func TestStopToFront(t *testing.T) {
	s := start(t, "run", "sh", "-c", "echo $$; exec cat")
	pidLine(t, s)
	s.signalFront(unix.SIGTSTP)
	if status := waitFront(t, s.Process.Pid); !status.Stopped() || status.StopSignal() != unix.SIGTSTP {
		t.Fatalf("the front: %#x, want a stop by SIGTSTP", status)
	}
	s.signalFront(unix.SIGCONT)
	s.in.Close()
	if got := s.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestKilledWhileStopped: the front wakes up to end.
func TestKilledWhileStopped(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGSTOP} {
		s := start(t, "run", "sh", "-c", "echo $$; exec cat")
		command := pidLine(t, s)
		for _, sig := range []unix.Signal{sig, unix.SIGKILL} {
			if err := unix.Kill(command, sig); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.status(); got != 1009 {
			t.Errorf("%v: status %d, want 1009", sig, got)
		}
	}
}

// TestStopsWhileTraced: COMMAND was let out of its stop by a tracer when the front is to follow,
// and takes its time to get back into it.
func TestStopsWhileTraced(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGSTOP} {
		s := start(t, "run", "sh", "-c", "echo $$; exec cat")
		command := pidLine(t, s)
		traceOutOfStop(t, command, sig)
		if status := waitFront(t, s.Process.Pid); !status.Stopped() || status.StopSignal() != sig {
			t.Fatalf("the front: %#x, want a stop by %v", status, sig)
		}
		check(unix.Kill(command, unix.SIGCONT))
		s.in.Close()
		if got := s.status(); got != 0 {
			t.Errorf("%v: status %d, want 0", sig, got)
		}
	}
}

// traceOutOfStop stops pid and has it run all the same for a while, before it is let go of, into
// its stop.
func traceOutOfStop(t *testing.T, pid int, sig unix.Signal) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	check(unix.PtraceSeize(pid))
	next := func() {
		_, err := unix.Wait4(pid, nil, unix.WALL, nil)
		check(err)
	}
	check(unix.Kill(pid, sig))
	next()
	check(unix.PtraceCont(pid, int(sig)))
	next() // its parent is told now
	check(unix.PtraceCont(pid, 0))
	time.Sleep(100 * time.Millisecond) //nolint:forbidigo // how long it runs
	check(unix.PtraceInterrupt(pid))
	next()
	check(unix.PtraceDetach(pid))
}
