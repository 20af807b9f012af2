package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// Reach makes a real call under a filter of ours, in a child, and says what comes of it.
func Reach(backend string, nr uint32) (kernel.Outcome, error) {
	if backend == BackendPtrace {
		return kernel.ReachTraced(nr)
	}
	return kernel.ReachNotified(nr)
}

// pastSandbox is what a tracer is to do about a filter around us: what it traps costs nothing to
// get at, so that is not waited to be asked for.
func (o Options) pastSandbox(f kernel.Features) Plan {
	enosys := o.OnTrap == "enosys"
	return Plan{
		Entries: o.Intercept == "entry", Enosys: enosys,
		Traps: enosys || f.SendFirst.Reach == kernel.Trapped || f.OpenFirst.Reach == kernel.Trapped,
	}
}

// sees tells whether a tracer gets at a call of which this becomes.
func (p Plan) sees(o kernel.Outcome) bool {
	switch o.Reach {
	case kernel.ReachesUs:
		return true
	case kernel.Trapped:
		return p.Entries || p.Traps
	case kernel.AnsweredFirst, kernel.Killed:
		return p.Entries
	}
	return false
}

// CheckReach refuses to run where a filter around us answers the call first: nothing of what
// is promised about it could be held. What cannot be told is left to the start to find out.
// Without a filter around us, the ordinary case, nobody is asked.
func (p Plan) CheckReach() error {
	if !kernel.Filtered() {
		return nil
	}
	calls := []callAt{{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL}}
	if p.Family {
		calls = append(calls, callAt{"pidfd_open", unix.SYS_PIDFD_OPEN})
	}
	for _, c := range calls {
		if err := p.checkReach(c); err != nil {
			return err
		}
	}
	return nil
}

type callAt struct {
	name string
	nr   uint32
}

func (p Plan) checkReach(c callAt) error {
	outcome, err := Reach(p.Backend, c.nr)
	traced := p.Backend == BackendPtrace
	switch {
	case err != nil, outcome.Reach == kernel.ReachesUs, traced && p.sees(outcome):
		return nil
	case outcome.Reach == kernel.Untraceable:
		return fmt.Errorf("--backend %s: start a child that we trace: %w: a seccomp filter around us, or Yama, forbids ptrace: use --backend notify", p.Backend, outcome.Errno)
	}
	past := "--intercept entry, which stops COMMAND at each of its calls (slow)"
	if outcome.Reach == kernel.Trapped {
		past = "--backend ptrace"
	}
	return fmt.Errorf("--backend %s: a seccomp filter around us comes first (%s: %v), so no call would reach the shim: "+
		"run pidfd-shim outside of that sandbox, or have its profile allow system call %d, or take %s", p.Backend, c.name, outcome, c.nr, past)
}
