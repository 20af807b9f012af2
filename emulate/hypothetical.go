package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// HypotheticalCall has the caller and the target of a call that nobody makes: for `policy explain`, which
// so sees what a real call's rules would see. Close it after use.
type HypotheticalCall struct {
	tasks      *task.View
	judge      judge
	attempt    attempt
	supervised bool
}

// NewHypotheticalCall holds a thread and a process. supervisor is the process whose sandbox is meant,
// 0 if none is.
func NewHypotheticalCall(fs *proc.FS, features kernel.Features, caller, target, supervisor int32) (*HypotheticalCall, error) {
	self, err := task.ReadSelf(fs)
	if err != nil {
		return nil, err
	}
	p := &HypotheticalCall{tasks: &task.View{Proc: fs, Features: features, Self: self}, supervised: supervisor > 0}
	p.attempt.call = &shim.Call{Slow: true} // it may take its time
	p.judge = judge{tasks: p.tasks, root: supervisor, ours: func(pid int32) bool { return p.supervised && pid == supervisor }}
	callers := callerCache{tasks: p.tasks}
	if p.attempt.caller, err = callers.openCaller(caller); err != nil {
		return nil, goneErr(err, "caller", caller)
	}
	if err := p.hold(target); err != nil {
		p.Close()
		return nil, goneErr(err, "target", target)
	}
	return p, nil
}

// hold takes the target as a descriptor in a call would name it.
func (p *HypotheticalCall) hold(pid int32) error {
	t := &p.attempt.target
	dir, err := p.tasks.Proc.Dir(pid)
	if err != nil {
		return err
	}
	var status proc.Status
	if err := dir.Status(&status); err != nil {
		_ = dir.Close()
		return err
	}
	t.fd, t.dir, t.known = dir.FD(), dir, true
	t.pid, t.tgid = status.Pid, status.Tgid
	return nil
}

func goneErr(err error, who string, pid int32) error {
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("find %s %d: there is no such process", who, pid)
	}
	return fmt.Errorf("hold %s %d: %w", who, pid, err)
}

// Close lets go of both.
func (p *HypotheticalCall) Close() {
	if p.attempt.caller != nil {
		p.attempt.caller.close()
	}
	if p.attempt.target.dir != nil {
		_ = p.attempt.target.dir.Close()
	}
}

// Gather implements policy.Source.
func (p *HypotheticalCall) Gather(want policy.Fact, relations policy.Relation, q *policy.Query) {
	want &^= policy.FinalScope // nobody has given a descriptor
	(&evidence{&p.judge, &p.attempt}).Gather(want, relations, q)
	if !p.supervised && want&policy.Related != 0 && relations&policy.Sandbox != 0 {
		q.Facts.Relations &^= policy.Sandbox
		q.Facts.Unsure |= policy.Sandbox
	}
}

// Permitted is the kernel's own rule: whether it would let the caller send the signal.
func (p *HypotheticalCall) Permitted(sig int32) (bool, error) {
	a := &p.attempt
	if a.target.tgid == a.caller.tgid {
		return true, nil
	}
	if err := a.callerCreds(p.tasks); err != nil {
		return false, err
	}
	to, err := a.target.creds(p.tasks)
	if err != nil {
		return false, err
	}
	a.req.sig = sig
	return permitted(p.tasks, a, &to)
}
