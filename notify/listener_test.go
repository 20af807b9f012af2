package notify

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// What the kernel says of a call, for each way into it.
func TestNextDecodesEveryEntry(t *testing.T) {
	for _, e := range entries {
		t.Run(e.entry+e.width, func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				c := launch(t, true, e.width, e.entry, "calls", "1")
				call := c.mustNext()
				f := call.Frame
				if f.Arch != e.arch || f.Nr != e.nr || [4]uint64(f.Raw[:4]) != e.args || f.IP == 0 {
					t.Errorf("frame %#x, want arch %#x, nr %#x, args %#x", f, e.arch, e.nr, e.args)
				}
				if int(call.Tid) != c.pid || call.ID == 0 {
					t.Errorf("id %d, tid %d, want tid %d", call.ID, call.Tid, c.pid)
				}
				c.answer(call, shim.Return(0))
			})
		})
	}
}

func TestAnswersReachTheCaller(t *testing.T) {
	for _, e := range entries {
		t.Run(e.entry+e.width, func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				passed := native(t, e.width, e.entry)
				rows := []struct {
					verdict shim.Verdict
					want    string
				}{
					{shim.Return(0), "0"},
					{shim.Return(5), "5"},
					{shim.Fail(unix.EPERM), "-1"},
					{shim.Fail(unix.ENOSYS), "-38"},
					{shim.Fail(0), "0"},
					{shim.Pass(), passed},
				}
				c := launch(t, true, e.width, e.entry, "calls", fmt.Sprint(len(rows)))
				for _, row := range rows {
					c.answer(c.mustNext(), row.verdict)
					if got := c.line(); got != row.want {
						t.Errorf("after %v the caller saw %q, want %q", row.verdict, got, row.want)
					}
				}
				c.reap() // until 6.11 a zombie still counts
				if err := within(t, "hang-up", c.WaitHangUp); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A notified caller cannot be made to run another call, and nobody may hang because a
// handler asked for it or returned nothing.
func TestAnswerRefusesOtherVerdicts(t *testing.T) {
	inChild(t, func(t *testing.T) {
		verdicts := []shim.Verdict{{}, shim.Run(shim.Rewrite{Nr: 39}), shim.Later(), shim.Gone(), {Kind: 99}}
		c := launch(t, true, "-m64", "syscall", "calls", fmt.Sprint(len(verdicts)))
		for _, v := range verdicts {
			if err := c.Answer(c.mustNext(), v); err == nil || errors.Is(err, shim.ErrGone) {
				t.Errorf("Answer %v: error %v, want a refusal", v, err)
			}
			c.expectLine("-38")
		}
	})
}

func TestSecondAnswerIsGone(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "2")
		call := c.mustNext()
		c.answer(call, shim.Return(1))
		if err := c.Answer(call, shim.Return(2)); !errors.Is(err, shim.ErrGone) {
			t.Errorf("at once: %v, want ErrGone", err)
		}
		c.expectLine("1")
		second := c.mustNext()
		if err := c.Answer(call, shim.Return(2)); !errors.Is(err, shim.ErrGone) {
			t.Errorf("while the caller waits in its next call: %v, want ErrGone", err)
		}
		c.answer(second, shim.Return(3))
		c.expectLine("3")
	})
}

func TestBlocked(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old=%v", old), func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				c := launch(t, true, "-m64", "syscall", "calls", "2")
				if old {
					c.PretendOld()
					if c.validIO == unix.SECCOMP_IOCTL_NOTIF_ID_VALID {
						t.Error("PretendOld left the new encoding")
					}
				}
				answered := c.mustNext()
				if err := c.Blocked(answered); err != nil {
					t.Errorf("while the caller waits: %v", err)
				}
				c.answer(answered, shim.Return(0))
				call := c.mustNext()
				if err := c.Blocked(answered); !errors.Is(err, shim.ErrGone) {
					t.Errorf("in its next call: %v, want ErrGone", err)
				}
				c.kill()
				if err := c.Blocked(call); !errors.Is(err, shim.ErrGone) {
					t.Errorf("after its end: %v, want ErrGone", err)
				}
				if err := c.Answer(call, shim.Return(0)); !errors.Is(err, shim.ErrGone) {
					t.Errorf("Answer after its end: %v, want ErrGone", err)
				}
			})
		})
	}
}

// RECV says ENOENT for a caller that was killed first and for the end of all callers;
// only the second is the end of the work.
func TestKilledBeforeReceivedIsNotTheEnd(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "child")
		tid := c.tid()
		c.waitPending()
		if err := unix.Kill(tid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		c.expectLine("reaped")
		if _, err := c.next(); !errors.Is(err, shim.ErrGone) {
			t.Errorf("Next: %v, want ErrGone", err)
		}
		if c.HungUp() {
			t.Error("hung up while the command lives")
		}
		c.in.Close()
		c.reap()
		if err := within(t, "hang-up", c.WaitHangUp); err != nil {
			t.Error(err)
		}
		if !c.HungUp() {
			t.Error("not hung up after the end")
		}
		if _, err := c.next(); !errors.Is(err, io.EOF) {
			t.Errorf("Next: %v, want EOF", err)
		}
	})
}

// The worker sits in RECV when the last caller ends: it must come back.
func TestNextEndsWithTheLastCaller(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "1")
		c.answer(c.mustNext(), shim.Return(0))
		if _, err := c.next(); !errors.Is(err, io.EOF) {
			t.Errorf("Next: %v, want EOF", err)
		}
	})
}

func TestNotificationNamesTheThread(t *testing.T) {
	for _, how := range []string{"thread", "orphan"} {
		t.Run(how, func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				c := launch(t, true, "-m32", "int80", how)
				tid := c.tid()
				call := c.mustNext()
				if int(call.Tid) != tid || tid == c.pid {
					t.Errorf("tid %d, the thread is %d of process %d", call.Tid, tid, c.pid)
				}
				c.answer(call, shim.Return(4))
				c.expectLine("4")
			})
		})
	}
}

// A handler interrupts a received call unless the filter has WAIT_KILLABLE_RECV.
func TestKillableHoldsSignalsBack(t *testing.T) {
	for _, killable := range []bool{false, true} {
		t.Run(fmt.Sprint(killable), func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				c := launch(t, killable, "-m64", "syscall", "handler")
				tid := c.tid()
				call := c.mustNext()
				if err := unix.Tgkill(c.pid, tid, unix.SIGUSR1); err != nil {
					t.Fatal(err)
				}
				if killable {
					c.waitUninterruptible(tid)
					c.answer(call, shim.Return(6))
					c.expectLine("6")
				} else {
					c.expectLine("-4")
					if err := c.Answer(call, shim.Return(6)); !errors.Is(err, shim.ErrGone) {
						t.Errorf("Answer after EINTR: %v, want ErrGone", err)
					}
				}
				c.expectLine("handled 1")
			})
		})
	}
}

// poll says POLLERR where a signal came while it waited for the filter's lock
// (seccomp_notify_poll), and any descriptor says POLLNVAL once it is closed. Neither is
// the end. A pipe nobody reads makes a POLLERR that stays.
func TestOnlyHangUpIsTheEnd(t *testing.T) {
	r, w := pipe(t)
	defer w.Close()
	r.Close()
	if (&Listener{fd: int(w.Fd())}).HungUp() {
		t.Error("POLLERR was taken for a hang-up")
	}
	if (&Listener{fd: 1 << 20}).HungUp() {
		t.Error("POLLNVAL was taken for a hang-up")
	}
	if err := within(t, "hang-up", (&Listener{fd: 1 << 20}).WaitHangUp); !errors.Is(err, unix.EBADF) {
		t.Errorf("WaitHangUp on a closed descriptor: %v, want EBADF", err)
	}
}

// <linux/seccomp.h>: the data is the last of the struct.
func TestLayout(t *testing.T) {
	if notifEnd != notifData+offsetArgs+6*8 {
		t.Error("struct seccomp_notif does not end where its arguments do")
	}
}

// The way of a call through the listener allocates nothing.
func TestListenerAllocatesNothing(t *testing.T) {
	inChild(t, func(t *testing.T) {
		const runs = 200
		c := launch(t, true, "-m64", "syscall", "calls", fmt.Sprint(runs+1))
		var call shim.Call
		allocations := testing.AllocsPerRun(runs, func() {
			if err := errors.Join(c.Next(&call), c.Blocked(&call), c.Answer(&call, shim.Return(0))); err != nil {
				t.Fatal(err)
			}
		})
		if allocations != 0 {
			t.Errorf("%v allocations a call", allocations)
		}
	})
}
