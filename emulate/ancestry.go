package emulate

import (
	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// ancestry is what one call has found out about parents, so that each process is climbed
// from once, however many members of a group descend from it. A nil ancestry keeps nothing.
type ancestry map[lineage]bool

// lineage is a question that was answered: whether a process descends from an ancestor.
type lineage struct {
	process  task.ID
	ancestor int32
}

// maxGenerations bounds a walk: a tree is never that deep, but one that is rebuilt while
// we climb could be.
const maxGenerations = 4096

// climb is one walk from a process to its parents.
type climb struct {
	tasks    *task.View
	a        *attempt
	ancestor int32
	at       task.Relative
	parent   int32 // of at
	passed   []task.ID
}

// descends climbs from a process to its parents until it meets ancestor, or somebody of
// whom this call knows the answer already.
func descends(ts *task.View, a *attempt, pid, ancestor int32) (holds bool, err error) {
	c := climb{tasks: ts, a: a, ancestor: ancestor}
	if c.at, err = ts.Hold(pid); err != nil {
		return false, err
	}
	defer func() { c.at.Close() }()
	if c.parent, err = c.at.Parent(); err != nil {
		return false, err
	}
	for range maxGenerations {
		var known bool
		if holds, known = c.known(); known {
			break
		}
		if err := a.spend(&a.generations, quickGenerations); err != nil {
			return false, err
		}
		if err := c.up(); err != nil {
			return false, err
		}
	}
	c.remember(holds)
	return holds, nil
}

// known tells what needs no further step.
func (c *climb) known() (holds, known bool) {
	if c.parent <= 1 || c.parent == c.ancestor {
		return c.parent == c.ancestor && c.ancestor > 0, true
	}
	holds, known = c.a.ancestry[lineage{c.at.ID, c.ancestor}]
	return holds, known
}

// up is one step. The parent is held before its child is asked once more whose it is, and
// only then seen to live: so the number was that parent's all the while, and parent and
// child were so at one moment.
func (c *climb) up() error {
	above, err := c.tasks.Hold(c.parent)
	again, errAgain := c.at.Parent()
	if errAgain != nil || again != c.parent { // the parent died: the child is somebody else's now
		if err == nil {
			above.Close()
		}
		c.parent = again
		return errAgain
	}
	if err != nil {
		return err
	}
	next, err := above.Parent()
	if err != nil {
		above.Close()
		if c.parent, errAgain = c.at.Parent(); errAgain == nil && c.parent != again {
			return nil // it died just now
		}
		return err
	}
	if c.a.ancestry != nil {
		c.passed = append(c.passed, c.at.ID)
	}
	c.at.Close()
	c.at, c.parent = above, next
	return nil
}

// remember notes the answer for everybody on the way.
func (c *climb) remember(holds bool) {
	if c.a.ancestry == nil {
		return
	}
	c.a.ancestry[lineage{c.at.ID, c.ancestor}] = holds
	for _, id := range c.passed {
		c.a.ancestry[lineage{id, c.ancestor}] = holds
	}
}
