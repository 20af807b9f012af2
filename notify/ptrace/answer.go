package ptrace

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Answer implements shim.Backend.
func (t *Tracer) Answer(c *shim.Call, v shim.Verdict) error {
	if c.Slow {
		t.late.add(c, v)
		return nil
	}
	return t.answer(c, v)
}

// answer first sees that the tracee is still in its call. One that is at its exit would be
// let run on from there otherwise, unseen.
func (t *Tracer) answer(c *shim.Call, v shim.Verdict) error {
	task := t.table.take(c)
	if task == nil || !inSeccompStop(c.Tid) {
		t.Release(v.Call.Hold)
		if v.Steps != nil {
			v.Steps.Gone()
		}
		return shim.ErrGone
	}
	switch v.Kind {
	case shim.KindReturn:
		return t.runs.skip(c.Tid, uint64(v.Value))
	case shim.KindFail:
		return t.runs.skip(c.Tid, failure(v.Errno))
	case shim.KindPass:
		if c.Reports {
			t.table.runs(task, rewritten{own: true, seen: seen(c), as: v})
		}
		t.runs.goOn(task, 0)
		return nil
	case shim.KindRun:
		return t.runs.rewrite(c, task, v)
	case shim.KindSteps:
		return t.runs.begin(c, task, v)
	}
	_ = t.runs.skip(c.Tid, failure(unix.ENOSYS))
	return fmt.Errorf("verdict %q cannot answer a traced call", v)
}

// failure is an errno as a register holds it.
func failure(errno unix.Errno) uint64 { return uint64(-int64(errno)) }

// late are the slow lane's answers, which the tracer's thread gives.
type late struct {
	mu      sync.Mutex // guards below
	answers []lateAnswer
}

type lateAnswer struct {
	call    shim.Call
	verdict shim.Verdict
}

func (l *late) add(c *shim.Call, v shim.Verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers = append(l.answers, lateAnswer{*c, v})
	c.Reports = false
}

func (l *late) take() []lateAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	answers := l.answers
	l.answers = nil
	return answers
}

// seen takes a call that is to be reported when its result is known.
func seen(c *shim.Call) *shim.Call {
	if !c.Reports {
		return nil
	}
	own := *c
	c.Reports = false
	return &own
}
