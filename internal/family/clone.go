package family

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// cloning is clone with CLONE_PIDFD. The descriptor is there before the child is, and the
// caller is told of it, as natively; a child that has descriptors of its own closes it before
// its first instruction.
type cloning struct {
	maker
	args  [6]uint64
	child bool
}

// parentTid is the argument that says where the descriptor is to be written.
const parentTid = 2

// Clone is clone with CLONE_PIDFD.
func (t *Table) Clone(tid int32, abi arch.ABI, args [6]uint64) shim.Program {
	c := &cloning{args: args}
	c.maker = maker{table: t, tid: tid, abi: abi, target: t.unborn(args[0]&unix.CLONE_THREAD != 0)}
	c.then, c.made = c.begin, c.tell
	return c
}

// tell has the caller itself write the number, by reading it from the pipe: what becomes of its
// memory meanwhile is its own, and so is EFAULT.
func (c *cloning) tell() shim.Step {
	if !c.table.say(c.inode, uint32(c.read)) {
		c.errno = unix.ENFILE
		return c.call(arch.Close, c.undo, uint64(c.write))
	}
	return c.call(arch.Read, c.told, uint64(c.read), c.args[parentTid], 4)
}

func (c *cloning) told(result int64) shim.Step {
	if errno, failed := c.errnoOf(result); failed {
		return c.tidy(func() shim.Step { return c.close(-int64(errno)) })
	}
	return c.tidy(c.clone)
}

func (c *cloning) clone() shim.Step {
	args := c.args
	args[0] &^= unix.CLONE_PIDFD
	step := c.call(arch.Clone, c.cloned, args[:]...)
	step.Waits, step.Forks = true, true
	return step
}

// cloned: without a child there is no descriptor, either. One that is to be tried again
// makes the caller's own call again.
func (c *cloning) cloned(result int64) shim.Step {
	if result > 0 && c.child {
		return shim.End(result)
	}
	return c.close(result)
}

func (c *cloning) close(result int64) shim.Step {
	return c.call(arch.Close, func(int64) shim.Step { return shim.End(result) }, uint64(c.read))
}

// Forked implements shim.Program.
func (c *cloning) Forked(child int32) int32 {
	c.child = true
	c.table.born(c.target, child)
	if c.args[0]&unix.CLONE_FILES != 0 {
		return -1
	}
	return c.read
}

// unborn is a target that has no number yet.
func (t *Table) unborn(thread bool) *Target {
	return &Target{Thread: thread, dir: -1, users: 1, traced: true, ends: map[*end]struct{}{}}
}

// born gives it its number. The child is held: it is who it is.
func (t *Table) born(target *Target, pid int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	target.Pid = pid
	dir, err := t.Proc.OpenDir(pid)
	if err != nil { // killed, and reaped, before it had run
		t.end(target, ended)
		t.end(target, reaped)
		return
	}
	target.dir, target.within = dir, t.within(dir)
	t.targets[name{pid, target.Thread}] = target
}

// say puts a number into a pipe.
func (t *Table) say(inode uint64, value uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.ends[inode]
	if e == nil || e.fd < 0 {
		return false
	}
	n, err := unix.Write(e.fd, []byte{byte(value), byte(value >> 8), byte(value >> 16), byte(value >> 24)})
	return err == nil && n == 4
}
