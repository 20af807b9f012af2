package emulate

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// holder is a Injector that notes what it is asked, and pins.
type holder struct {
	pinner        *Pinner
	pin           *tracee.Pin
	held, dropped int
}

func (h *holder) Hold(c *shim.Call, target int32) (held, pinned bool) {
	h.held++
	h.pin, _ = h.pinner.seize(c, max(target, -target)) // below 0: see toPin
	return true, h.pin != nil
}

func (h *holder) Drop() {
	h.dropped++
	h.pin.Release()
}
func (*holder) Run(*shim.Call, shim.Rewrite) (bool, error) { return false, nil }
func (*holder) Finish() (shim.Result, error)               { return shim.Result{}, nil }
func (*holder) LetGo(func() bool)                          {}

// interrupted is a backend whose callers have all left.
type interrupted struct{ waiting }

func (interrupted) Blocked(*shim.Call) error { return shim.ErrGone }

// byCallerAttempt is a call on a target whose handle is fd and whose number is pid.
func byCallerAttempt(fd int, pid int32) *attempt {
	return &attempt{
		call:  &shim.Call{ABI: arch.AMD64, Tid: 1},
		req:   request{sig: int32(unix.SIGKILL)},
		facts: facts{caller: &caller{tid: 1, tgid: 1}, target: target{fd: fd, pid: pid, tgid: pid}},
	}
}

// TestStaleHandleIsNotRun: the number was given to another before the target was pinned.
// The caller must not be made to send to it, whoever holds the caller meanwhile.
func TestStaleHandleIsNotRun(t *testing.T) {
	for _, hops := range []bool{false, true} {
		h := testHandler(t, ModeCaller)
		h.guard.pinner = newPinner()
		held := holder{pinner: h.guard.pinner}
		kept := keeper{}
		if hops {
			h.byCaller.injector = &held
		} else {
			h.byCaller.keeper = &kept
		}
		parent := newParent(t)
		dead, owner := parent.child(), parent.child()
		fd, err := unix.PidfdOpen(int(dead), 0)
		if err != nil {
			t.Skipf("pidfd_open: %v", err)
		}
		_ = unix.Kill(int(dead), unix.SIGKILL)
		if !parent.reaps(-dead) {
			t.Fatal("the target cannot be reaped")
		}
		a := byCallerAttempt(fd, owner)
		v, ok := h.byCaller.send(a)
		if !ok || v != shim.Fail(unix.ESRCH) {
			t.Errorf("hops %t: verdict %v, %t: want ESRCH", hops, v, ok)
		}
		if hops && (held.held != 1 || held.dropped != 1 || v.Runner != nil) {
			t.Errorf("the caller was held %d times, let go %d times", held.held, held.dropped)
		}
		if hops {
			expectLetGo(t, a, owner, parent)
		} else if kept != (keeper{kept: 1, released: 1}) || a.hold != 0 {
			t.Errorf("the target's number: %+v", kept)
		}
		_ = unix.Close(fd)
	}
}

// TestVanishedCallLetsGo: what was held for a caller that has left is let go, and the call
// is nobody's.
func TestVanishedCallLetsGo(t *testing.T) {
	h := testHandler(t, ModeCaller)
	h.guard.pinner = newPinner()
	h.byCaller.backend = interrupted{}
	held := holder{pinner: h.guard.pinner}
	h.byCaller.injector = &held
	parent := newParent(t)
	pid := parent.child()
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		t.Skipf("pidfd_open: %v", err)
	}
	defer unix.Close(fd)
	a := byCallerAttempt(fd, pid)
	if v, ok := h.byCaller.send(a); !ok || v.Kind != shim.KindGone || held.dropped != 1 || v.Runner != nil {
		t.Errorf("verdict %v, %t, let go %d times", v, ok, held.dropped)
	}
	expectLetGo(t, a, pid, parent)
}

// expectLetGo ends the call and sees that its target, which was pinned, is its parent's.
func expectLetGo(t *testing.T, a *attempt, pid int32, parent *parent) {
	t.Helper()
	if !a.mustLetGo {
		t.Fatal("nobody lets go of the target")
	}
	_ = unix.Kill(int(pid), unix.SIGKILL)
	if !parent.reaps(-pid) {
		t.Errorf("process %d is never handed to its parent", pid)
	}
}
