package emulate

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// tries is how often a number is recycled at each moment of each guard.
func tries() int {
	if os.Getenv("PIDFD_SHIM_SOAK") != "" {
		return 300
	}
	return 5
}

// attempted is one send to a target whose number changes hands at one moment.
type attempted struct {
	h      *SendSignal
	a      attempt
	t      target
	n      number
	pinner *Pinner
	errno  unix.Errno
	guard  shim.Guard
	freed  bool // the target was reaped
	taken  bool // and another has the number
}

// recycle sends a signal by a guard and gives the target's number away at a moment.
func recycle(t *testing.T, kin *nursery, pinner *Pinner, at moment, sig unix.Signal, how string) (r attempted, misdirected bool) {
	t.Helper()
	pid := kin.born()
	r = aimed(t, pid, sig)
	r.pinner = pinner
	defer sys.Close(r.t.fd)
	r.h.guard.between = func(now moment) {
		if now == at {
			r.freed = kin.die(pid)
			r.taken = r.freed && kin.take(pid)
		}
	}
	send := guards[how]
	send(t, &r)
	if !r.freed { // it was kept for as long as the guard held
		kin.reap(pid)
	}
	if r.taken {
		misdirected = touched(t, pid)
		kin.die(pid)
	}
	return r, misdirected
}

var ownConfig = sync.OnceValues(func() (Config, error) {
	fs, err := proc.Open()
	if err != nil {
		return Config{}, err
	}
	self, err := task.ReadSelf(fs)
	return Config{Proc: fs, Self: self, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)}, err
})

// aimed makes an attempt at a process by its number.
func aimed(t *testing.T, pid int32, sig unix.Signal) attempted {
	t.Helper()
	config, err := ownConfig()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		t.Fatal(err)
	}
	return attempted{
		h: newHandler(config),
		a: attempt{facts: facts{caller: &caller{tgid: 1}}, call: &shim.Call{}},
		t: target{fd: fd, pid: pid, tgid: pid},
		n: number{pid: pid, tgid: pid, sig: int32(sig)},
	}
}

// guards sends under each guard of DESIGN section 6.
var guards = map[string]func(t *testing.T, r *attempted){
	"pidfd": func(_ *testing.T, r *attempted) {
		r.h.guard.pause(atEntry)
		r.h.guard.pause(atGuarded)
		r.h.guard.pause(atChecked)
		r.a.req.sig = r.n.sig
		r.errno = r.h.sender.forward(&r.a, r.t.fd, 0)
		r.guard = r.a.call.Record.Guard
		r.h.guard.pause(atSent)
	},
	"tracee": func(t *testing.T, r *attempted) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if errno := ptraceSeize(r.n.pid, unix.PTRACE_O_TRACEEXIT); errno != 0 {
			t.Fatal(errno)
		}
		r.h.guard.keeper = &keeper{}
		r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
		letTraceeGo(t, r.n.pid)
	},
	"seize": func(_ *testing.T, r *attempted) {
		r.h.guard.pinner = r.pinner
		r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
	},
	"owner": func(_ *testing.T, r *attempted) {
		r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
	},
	"narrowed": func(_ *testing.T, r *attempted) {
		r.errno, r.guard = r.h.guard.send(&r.a, &r.t, &r.n)
	},
}

// keeper is a tracer's that has the task already.
type keeper struct{ kept, released int }

func (k *keeper) Keep(int32) (shim.Hold, shim.Guard, unix.Errno) {
	k.kept++
	return 1, shim.GuardTracee, 0
}
func (k *keeper) Release(shim.Hold) { k.released++ }

// ptraceSeize is ptrace(PTRACE_SEIZE) with options.
func ptraceSeize(pid int32, options uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, options, 0, 0)
	return errno
}

// letTraceeGo reaps what our tracing kept, as the tracer does after a call.
func letTraceeGo(t *testing.T, pid int32) {
	t.Helper()
	_ = unix.PtraceInterrupt(int(pid))
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
		if err != nil || !status.Stopped() {
			return
		}
		if unix.PtraceDetach(int(pid)) == nil {
			return
		}
	}
}

// touched reports whether a process that was just born with every signal blocked got one.
func touched(t *testing.T, pid int32) bool {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		state, tracer := byte(0), 0
		pending := false
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			switch name {
			case "State":
				state = value[0]
			case "TracerPid":
				tracer, _ = strconv.Atoi(value)
			case "SigPnd", "ShdPnd":
				pending = pending || strings.Trim(value, "0") != ""
			}
		}
		if tracer == 0 { // else a pin that took hold of it is yet to let go
			return pending || state != 'S' && state != 'R'
		}
		runtime.Gosched()
	}
}

// TestRecycledBetweenSteps: each guard, and the number given to another between every two
// steps of it. Nobody gets a signal that was not meant for it; narrowed leaves exactly one
// moment in which somebody does, which is why it is counted, and refused under a policy.
func TestRecycledBetweenSteps(t *testing.T) {
	kin := newNursery(t)
	moments := map[moment]string{atEntry: "before the guard", atJudged: "before it is aimed", atGuarded: "guarded", atChecked: "checked", atSent: "sent"}
	for _, row := range []struct {
		how   string
		sig   unix.Signal
		at    []moment
		want  shim.Guard
		holds []moment // in which the number stays its owner's
		leaks []moment
	}{
		{"pidfd", unix.SIGUSR1, []moment{atEntry, atChecked, atSent}, shim.GuardPidfd, nil, nil},
		{"tracee", unix.SIGUSR1, []moment{atEntry, atGuarded, atChecked, atSent}, shim.GuardTracee, []moment{atEntry, atGuarded, atChecked, atSent}, nil},
		{"seize", unix.SIGUSR1, []moment{atEntry, atGuarded, atChecked, atSent}, shim.GuardSeize, []moment{atGuarded, atChecked, atSent}, nil},
		{"seize", unix.SIGKILL, []moment{atEntry, atGuarded, atChecked, atSent}, shim.GuardSeize, []moment{atGuarded, atChecked, atSent}, nil},
		{"owner", unix.SIGKILL, []moment{atEntry, atJudged, atGuarded, atChecked, atSent}, shim.GuardOwner, nil, nil},
		{"owner", unix.SIGSTOP, []moment{atEntry, atJudged, atGuarded, atChecked, atSent}, shim.GuardOwner, nil, nil},
		{"narrowed", unix.SIGUSR1, []moment{atEntry, atGuarded, atChecked, atSent}, shim.GuardNarrowed, nil, []moment{atChecked}},
	} {
		for _, at := range row.at {
			t.Run(fmt.Sprintf("%s/%v/%s", row.how, row.sig, moments[at]), func(t *testing.T) {
				pinner := newPinner()
				n, misdirected, freed := tries(), 0, 0
				for range n {
					r, hit := recycle(t, kin, pinner, at, row.sig, row.how)
					if hit {
						misdirected++
					}
					if r.freed {
						freed++
					}
					if r.freed && !r.taken {
						t.Fatal("the number could not be given away: this shows nothing")
					}
					if !r.freed && r.guard != row.want {
						t.Errorf("guard %v, errno %v, want %v", r.guard, r.errno, row.want)
					}
				}
				t.Logf("%d tries, %d times the number was another's, misdirected %d", n, freed, misdirected)
				want, wantFreed := 0, n
				if has(row.leaks, at) {
					want = n
				}
				if has(row.holds, at) {
					wantFreed = 0
				}
				if misdirected != want || freed != wantFreed {
					t.Errorf("misdirected %d, want %d; the number was another's %d times, want %d", misdirected, want, freed, wantFreed)
				}
			})
		}
	}
}

func has(list []moment, at moment) bool {
	for _, m := range list {
		if m == at {
			return true
		}
	}
	return false
}
