package emulate

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestExecInAThreadKeepsThePin: a thread that is not the leader calls execve while its
// leader is pinned, which without TRACEEXIT drops the pin; then the process dies and its
// number is given away. In each try that was so, the new owner must not be sent to.
func TestExecInAThreadKeepsThePin(t *testing.T) {
	kin, pinner := newNursery(t), newPinner()
	for _, at := range []moment{atGuarded, atChecked} {
		misdirected, lost := 0, 0
		n := tries()
		for range n {
			pid := kin.threaded()
			r := aimed(t, pid, unix.SIGUSR1)
			r.h.guard.pinner = pinner
			var how string
			r.h.guard.between = func(now moment) {
				if now == at {
					how = kin.exec(pid)
					r.freed = kin.die(pid)
					r.taken = r.freed && kin.take(pid)
				}
			}
			r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
			if how != "held" || r.guard != shim.GuardSeize {
				t.Errorf("moment %d: execve was %s, guard %v, errno %v", at, how, r.guard, r.errno)
			}
			if !r.freed {
				kin.reap(pid)
			} else {
				lost++
			}
			if r.taken {
				if touched(t, pid) {
					misdirected++
				}
				kin.die(pid)
			}
			sys.Close(r.t.fd)
		}
		t.Logf("moment %d: %d tries, the pin was lost in %d, misdirected %d", at, n, lost, misdirected)
		if lost != 0 || misdirected != 0 {
			t.Error("the pin did not hold")
		}
	}
}

// TestExecInAThreadGoesOn: it waits for the pin to be let go, and no longer.
func TestExecInAThreadGoesOn(t *testing.T) {
	kin := newNursery(t)
	pid := kin.threaded()
	r := aimed(t, pid, unix.SIGCONT)
	defer sys.Close(r.t.fd)
	pinner := newPinner()
	r.h.guard.pinner = pinner
	r.h.guard.between = func(now moment) {
		if now == atChecked {
			if how := kin.exec(pid); how != "held" {
				t.Errorf("execve was %s", how)
			}
		}
	}
	r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
	if r.errno != 0 || r.guard != shim.GuardSeize {
		t.Errorf("errno %v, guard %v", r.errno, r.guard)
	}
	if how := kin.ask("goes-on %d", pid); how != "done" {
		t.Errorf("execve afterwards: %s", how)
	}
	if !kin.die(pid) {
		t.Error("it is still traced")
	}
}

// traceChild seizes a child of the nursery: it cannot be pinned any more. The goroutine is
// locked to its thread until the test ends.
func traceChild(t *testing.T, pid int32) {
	t.Helper()
	runtime.LockOSThread()
	if errno := ptraceSeize(pid, unix.PTRACE_O_EXITKILL); errno != 0 {
		t.Fatal(errno)
	}
}

// TestOwnerSendsToATracedTarget: SIGSTOP and SIGKILL arrive there, once.
func TestOwnerSendsToATracedTarget(t *testing.T) {
	kin, pinner := newNursery(t), newPinner()
	for _, scope := range []scope{scopeProcess, scopeThread} {
		pid := kin.born()
		traceChild(t, pid)
		for _, sig := range []unix.Signal{unix.SIGSTOP, unix.SIGKILL} {
			r := aimed(t, pid, sig)
			r.n.scope = scope
			r.h.guard.pinner = pinner
			r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
			if r.errno != 0 || r.guard != shim.GuardOwner || r.n.sent != shim.SentKill {
				t.Errorf("%v: errno %v, guard %v, sent %v", sig, r.errno, r.guard, r.n.sent)
			}
			sys.Close(r.t.fd)
			status := nextStatus(t, pid)
			if sig == unix.SIGKILL {
				if !status.Signaled() || status.Signal() != unix.SIGKILL {
					t.Errorf("%#x is no end by SIGKILL", status)
				}
				break
			}
			if !status.Stopped() || status.StopSignal() != sig {
				t.Errorf("%#x is no stop by %v", status, sig)
			}
			if pending(t, pid) {
				t.Error("another one is on its way")
			}
			_ = unix.PtraceCont(int(pid), 0)
		}
		kin.reap(pid)
	}
}

func pending(t *testing.T, pid int32) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return !regexp.MustCompile(`(?m)^ShdPnd:\t0+$`).Match(text) || !regexp.MustCompile(`(?m)^SigPnd:\t0+$`).Match(text)
}

func nextStatus(t *testing.T, pid int32) (status unix.WaitStatus) {
	t.Helper()
	for {
		_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			if err != nil {
				t.Fatal(err)
			}
			return status
		}
	}
}

// TestStrictRefuses: under a policy nothing is sent that could go astray, and the caller
// is told ENOSYS; what can be sent safely still is.
func TestStrictRefuses(t *testing.T) {
	kin, pinner := newNursery(t), newPinner()
	pid := kin.born()
	for _, row := range []struct {
		name   string
		sig    unix.Signal
		self   bool
		strict bool
		errno  unix.Errno
		guard  shim.Guard
	}{
		{"narrowed", unix.SIGWINCH, false, false, 0, shim.GuardNarrowed},
		{"refused", unix.SIGWINCH, false, true, unix.ENOSYS, shim.GuardNone},
		{"nothing is sent", 0, false, true, 0, shim.GuardNarrowed},
		{"own process, narrowed", unix.SIGWINCH, true, false, 0, shim.GuardNarrowed},
		{"own process, refused", unix.SIGWINCH, true, true, unix.ENOSYS, shim.GuardNone},
		{"own process, SIGSTOP", unix.SIGSTOP, true, true, 0, shim.GuardOwner},
		{"SIGSTOP", unix.SIGSTOP, false, true, 0, shim.GuardOwner},
		{"SIGKILL", unix.SIGKILL, false, true, 0, shim.GuardOwner},
	} {
		r := aimed(t, pid, row.sig)
		r.n.policyAllowed = row.strict
		if row.self {
			r.h.guard.pinner = pinner // of no use: the caller cannot stop for it
			r.a.caller.tgid = pid
		}
		errno, guard := r.h.guard.send(&r.a, &r.t, &r.n)
		if errno != row.errno || guard != row.guard || row.errno != 0 && r.n.sent != shim.SentNone {
			t.Errorf("%s: errno %v, guard %v, sent %v", row.name, errno, guard, r.n.sent)
		}
		sys.Close(r.t.fd)
	}
	kin.reap(pid)
}

// TestOwnProcessIsNotPinned is why a caller's own process counts as narrowed: the caller
// was seen waiting, and yet its number is another's when the signal is sent.
func TestOwnProcessIsNotPinned(t *testing.T) {
	kin := newNursery(t)
	pid := kin.born()
	r := aimed(t, pid, unix.SIGUSR1)
	defer sys.Close(r.t.fd)
	r.a.caller.tgid = pid
	r.h.guard.between = func(now moment) {
		if now == atChecked {
			r.taken = kin.die(pid) && kin.take(pid)
		}
	}
	if _, guard := r.h.guard.send(&r.a, &r.t, &r.n); guard != shim.GuardNarrowed || !r.taken || !touched(t, pid) {
		t.Errorf("guard %v, taken %t: this shows nothing any more", guard, r.taken)
	}
}

// TestMayOwn is the kernel's rule for signals of a descriptor (fs/fcntl.c, sigio_perm).
func TestMayOwn(t *testing.T) {
	const r, e, s = 3000, 4000, 5000 // of the target
	to := creds{tgid: 7, ruid: r, euid: e, suid: s}
	for _, row := range []struct {
		name       string
		ruid, euid uint32
		whole      bool
		want       bool
	}{
		{"root of the first user namespace", 0, 0, true, true},
		{"root of another", 0, 0, false, false},
		{"real uid root, effective not: CAP_KILL plays no part", 0, 1, true, false},
		{"euid is its real uid", 1, r, true, true},
		{"euid is its saved uid", 1, s, true, true},
		{"ruid is its real uid", r, 1, true, true},
		{"ruid is its saved uid", s, 1, true, true},
		{"its effective uid does not count", e, e, true, false},
		{"a stranger", 1, 1, true, false},
	} {
		if got := mayOwn(&task.Self{WholeUserns: row.whole}, row.ruid, row.euid, &to); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
	overflow := creds{ruid: 65534, suid: 65534}
	if mayOwn(&task.Self{}, 65534, 65534, &overflow) {
		t.Error("two unmapped uids are taken for one")
	}
}

// TestMayBeForced: the init of a namespace below ours would drop what a descriptor sends.
func TestMayBeForced(t *testing.T) {
	for _, row := range []struct {
		name    string
		numbers []int32
		want    bool
	}{
		{"our own namespace", []int32{4711}, true},
		{"init of our own, which is sent nothing anyhow", []int32{1}, true},
		{"init of one below", []int32{4711, 1}, false},
		{"a process of one below", []int32{4711, 12}, true},
		{"a kernel that does not say (before 4.1)", nil, false},
	} {
		s := proc.Status{NSpids: len(row.numbers)}
		copy(s.NSpid[:], row.numbers)
		if got := mayBeForced(&s); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
}

// TestOwnerIsNotForInit: it is killed all the same, under another guard.
func TestOwnerIsNotForInit(t *testing.T) {
	if os.Getuid() != 0 {
		skip.If(t, errors.New("makes a pid namespace: root only"))
	}
	kin := newNursery(t)
	pid := kin.pid("init")
	r := aimed(t, pid, unix.SIGKILL)
	defer sys.Close(r.t.fd)
	errno, guard := r.h.guard.send(&r.a, &r.t, &r.n)
	if errno != 0 || guard != shim.GuardNarrowed {
		t.Errorf("errno %v, guard %v", errno, guard)
	}
	kin.reap(pid)
}
