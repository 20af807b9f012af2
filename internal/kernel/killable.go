package kernel

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// WaitKillableHolds asks whether a call under SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV that was
// answered is never restarted. From 5.19 to 6.17 one could be: a signal has ended the caller's
// wait, it is received and answered before the caller gets to look, and that took "answered"
// for "not received" ("seccomp: Fix a race with WAIT_KILLABLE_RECV if the tracer replies too
// fast", 6.18 and stable kernels; the kernel's own test is
// user_notification_wait_killable_after_reply).
//
// It is a race, tried for some milliseconds: nil says that it did not come about. On a single
// processor it hardly ever does.
func WaitKillableHolds() error {
	if err := WaitKillableRecv(); err != nil {
		return err
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	listeners, ended := make(chan int, 1), make(chan struct{})
	var failed error
	var tid int
	go onThrowawayThread(func() {
		defer close(ended)
		var listener int
		// The C library and the runtime have no use for this call.
		if listener, failed = filterCall(raced, unix.SECCOMP_RET_USER_NOTIF, flags); failed != nil {
			close(listeners)
			return
		}
		tid = unix.Gettid()
		listeners <- listener
		for round := range uintptr(rounds) {
			_, _ = sys.Call(raced, round)
		}
	})
	listener, ok := <-listeners
	if !ok {
		return failed
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := race(listener, tid)
	_ = unix.Close(listener) // what is left gets ENOSYS
	<-ended
	return err
}

const (
	raced  = unix.SYS_LOOKUP_DCOOKIE
	rounds = 1000

	raceTime = 8 * time.Millisecond
)

// race answers the thread's calls, each right after a signal: SIGURG, which the Go runtime
// takes for a word to a goroutine that runs too long, with SA_RESTART. A call that comes again
// although its answer was accepted is what is looked for.
func race(listener, tid int) error {
	pid, last := unix.Getpid(), uint64(rounds)
	for begun := time.Now(); time.Since(begun) < raceTime; {
		// struct seccomp_notif { __u64 id; __u32 pid, flags; struct seccomp_data data; };
		notif := make([]uint64, 10)
		err := ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, notif)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return answer("ioctl(NOTIF_RECV)", err)
		}
		round := notif[4] // data.args[0]
		if round == last {
			return fmt.Errorf("signal and answer at once: %w (the answered call was made again)", errors.ErrUnsupported)
		}
		_ = unix.Tgkill(pid, tid, unix.SIGURG)
		for spun := uint64(0); spun < round%64*16; spun++ {
			spin()
		}
		// struct seccomp_notif_resp { __u64 id; __s64 val; __s32 error; __u32 flags; };
		switch err := ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, []uint64{notif[0], 0, 0}); {
		case err == nil:
			last = round
		case !errors.Is(err, unix.ENOENT):
			return answer("ioctl(NOTIF_SEND)", err)
		}
		if round == rounds-1 {
			return nil
		}
	}
	return nil
}

//go:noinline
func spin() {}
