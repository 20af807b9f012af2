package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// ancestry is what one call has found out about parents, so that each process is climbed
// from once, however many members of a group descend from it. A nil ancestry keeps nothing.
type ancestry map[lineage]bool

// lineage is a question that was answered: whether a process descends from an ancestor.
type lineage struct {
	process  identity
	ancestor int32
}

// identity tells a process from a later one with its number.
type identity struct {
	pid    int32
	unique uint64 // inode of its pidfd, else when it began
}

// relative is a process on the way up, as it is held.
type relative struct {
	identity
	fd  int       // a pidfd that can be asked
	dir *proc.Dir // else
}

func (ts *tasks) holdRelative(pid int32) (r relative, err error) {
	r.pid, r.fd = pid, -1
	if !ts.features.Info {
		r.dir, err = ts.proc.Dir(pid)
		return r, err
	}
	if r.fd, err = unix.PidfdOpen(int(pid), 0); err != nil {
		return r, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(r.fd, &st); err != nil {
		r.letGo()
	}
	r.unique = st.Ino
	return r, err
}

func (r *relative) letGo() {
	if r.dir != nil {
		_ = r.dir.Close()
		return
	}
	closeFD(r.fd)
}

// parent asks the process whose child it is. No error: it has not been reaped, and so it
// has had its number ever since it is held.
func (r *relative) parent() (int32, error) {
	if r.dir != nil {
		var stat proc.Stat
		err := r.dir.Stat(&stat)
		r.unique = stat.Start
		return stat.PPid, err
	}
	var info proc.Info
	err := proc.PidfdInfo(r.fd, &info)
	if err == nil && info.Pid != r.pid {
		err = unix.ESRCH
	}
	return info.PPid, err
}

func (ts *tasks) parentOf(pid int32) (int32, error) {
	r, err := ts.holdRelative(pid)
	if err != nil {
		return 0, err
	}
	defer r.letGo()
	return r.parent()
}

// maxGenerations bounds a walk: a tree is never that deep, but one that is rebuilt while
// we climb could be.
const maxGenerations = 4096

// climb is one walk from a process to its parents.
type climb struct {
	tasks    *tasks
	a        *attempt
	ancestor int32
	at       relative
	parent   int32 // of at
	passed   []identity
}

// descends climbs from a process to its parents until it meets ancestor, or somebody of
// whom this call knows the answer already.
func (ts *tasks) descends(a *attempt, pid, ancestor int32) (holds bool, err error) {
	c := climb{tasks: ts, a: a, ancestor: ancestor}
	if c.at, err = ts.holdRelative(pid); err != nil {
		return false, err
	}
	defer func() { c.at.letGo() }()
	if c.parent, err = c.at.parent(); err != nil {
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
	holds, known = c.a.ancestry[lineage{c.at.identity, c.ancestor}]
	return holds, known
}

// up is one step. The parent is held before its child is asked once more whose it is, and
// only then seen to live: so the number was that parent's all the while, and parent and
// child were so at one moment.
func (c *climb) up() error {
	above, err := c.tasks.holdRelative(c.parent)
	again, errAgain := c.at.parent()
	if errAgain != nil || again != c.parent { // the parent died: the child is somebody else's now
		if err == nil {
			above.letGo()
		}
		c.parent = again
		return errAgain
	}
	if err != nil {
		return err
	}
	next, err := above.parent()
	if err != nil {
		above.letGo()
		if c.parent, errAgain = c.at.parent(); errAgain == nil && c.parent != again {
			return nil // it died just now
		}
		return err
	}
	if c.a.ancestry != nil {
		c.passed = append(c.passed, c.at.identity)
	}
	c.at.letGo()
	c.at, c.parent = above, next
	return nil
}

// remember notes the answer for everybody on the way.
func (c *climb) remember(holds bool) {
	if c.a.ancestry == nil {
		return
	}
	c.a.ancestry[lineage{c.at.identity, c.ancestor}] = holds
	for _, id := range c.passed {
		c.a.ancestry[lineage{id, c.ancestor}] = holds
	}
}
