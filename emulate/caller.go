package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// caller is a calling thread as the supervisor holds it. Its pidfd proves itself: it
// dies with the thread, so taking a descriptor through it works only while the tid
// still means the thread that the entry was made for.
type caller struct {
	tasks *task.View
	tid   int32
	tgid  int32
	start uint64 // clock ticks since boot
	pidfd int    // of the thread where the kernel has those, else of its process; -1: none
	dir   *proc.Dir
	used  uint64
	asked uint64 // when it was last asked whether it has ended

	// A process's active pid namespace never changes.
	nested bool  // in another pid namespace than the supervisor
	pidns  int   // descriptor of its pid namespace if nested, else -1
	number int32 // its tgid as it sees it itself
	depth  int   // how many namespaces down that is, 1 for the supervisor's own

	foreign    bool   // in another user namespace than the supervisor, as of generation
	generation uint64 // of Watch

	label    int  // its attr/current; -1 where no security module labels tasks
	labelled bool // under another AppArmor, SELinux or Smack label than the supervisor, as of this call

	private bool // the descriptor is the process's: the thread's own table must be compared
}

func (c *caller) close() {
	closeFD(c.pidfd)
	closeFD(c.pidns)
	closeFD(c.label)
	if c.dir != nil {
		_ = c.dir.Close()
	}
}

// callerCache keeps the callers seen last. It holds at most limit entries because
// each has up to four descriptors. What else can change of a caller that is kept, and what
// notices, is listed in docs/ARCHITECTURE.md.
type callerCache struct {
	tasks   *task.View
	watch   *Watch
	label   []byte // room, see isLabelled
	entries map[int32]*caller
	limit   int
	clock   uint64
}

func (cc *callerCache) get(tid int32) (*caller, error) {
	cc.clock++
	if c := cc.entries[tid]; c != nil {
		if c.generation == cc.watch.generation() {
			c.used = cc.clock
			c.labelled = cc.isLabelled(c)
			return c, nil
		}
		cc.drop(c)
	}
	if cc.entries == nil {
		cc.entries = map[int32]*caller{}
		cc.limit = callerLimit()
	}
	cc.sweep()
	for len(cc.entries) >= cc.limit {
		cc.evictOldest()
	}
	c, err := cc.openCaller(tid)
	if errors.Is(err, unix.EMFILE) && len(cc.entries) > 0 {
		cc.dropAll()
		c, err = cc.openCaller(tid)
	}
	if err != nil {
		return nil, err
	}
	c.used = cc.clock
	cc.entries[tid] = c
	return c, nil
}

// sweep forgets threads that have ended, of which nothing else tells: two are asked for
// each new one, which outruns any number of callers that live for one call.
func (cc *callerCache) sweep() {
	for range 2 {
		var next *caller
		for _, c := range cc.entries {
			if next == nil || max(c.used, c.asked) < max(next.used, next.asked) {
				next = c
			}
		}
		if next == nil {
			return
		}
		next.asked = cc.clock
		if next.ended() {
			cc.drop(next)
		}
	}
}

// ended reports whether nothing is left of the thread, or only a zombie.
func (c *caller) ended() bool {
	if c.pidfd >= 0 && !c.private {
		return proc.PidfdEnded(c.pidfd)
	}
	var stat proc.Stat
	return c.dir.Stat(&stat) != nil || stat.State == 'Z'
}

// sure is get for a call that takes no descriptor of the caller: nothing else would tell
// that the entry is of an earlier thread with its number.
func (cc *callerCache) sure(tid int32) (*caller, error) {
	c, err := cc.get(tid)
	if err != nil || c.lives() {
		return c, err
	}
	cc.drop(c)
	return cc.get(tid)
}

// lives reports whether the entry's thread has not been reaped, and so has its number.
func (c *caller) lives() bool {
	if c.tasks.Features.Info && c.tasks.Features.ThreadPidfd {
		var info proc.Info
		return proc.PidfdInfo(c.pidfd, &info) == nil && info.Pid == c.tid
	}
	var stat proc.Stat
	return c.dir.Stat(&stat) == nil
}

// callerLimit leaves half of the descriptors to everything else: a caller has up to three, and
// up to eight workers have callers.
func callerLimit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1
	}
	return int(min(max(limit.Cur/48, 1), 256))
}

// drop forgets a caller whose handle turned out to be dead.
func (cc *callerCache) drop(c *caller) {
	if cc.entries[c.tid] == c {
		delete(cc.entries, c.tid)
	}
	c.close()
}

func (cc *callerCache) dropAll() {
	for _, c := range cc.entries {
		cc.drop(c)
	}
}

func (cc *callerCache) evictOldest() {
	var oldest *caller
	for _, c := range cc.entries {
		if oldest == nil || c.used < oldest.used {
			oldest = c
		}
	}
	cc.drop(oldest)
}

// openCaller makes the handles of a thread that waits in a call. What it reads by
// number is good because Handle asks Blocked before it acts.
func (cc *callerCache) openCaller(tid int32) (*caller, error) {
	c := &caller{tasks: cc.tasks, tid: tid, pidfd: -1, pidns: -1, label: -1, generation: cc.watch.generation()}
	var err error
	if c.dir, err = cc.tasks.Proc.Dir(tid); err != nil {
		return nil, fmt.Errorf("open thread %d: %w", tid, err)
	}
	var status proc.Status
	if err := c.dir.Status(&status); err != nil {
		c.close()
		return nil, fmt.Errorf("read status of thread %d: %w", tid, err)
	}
	var stat proc.Stat
	if err := c.dir.Stat(&stat); err != nil {
		c.close()
		return nil, fmt.Errorf("read stat of thread %d: %w", tid, err)
	}
	c.tgid, c.start, c.depth = status.Tgid, stat.Start, status.NSpids
	if err := cc.openCallerPidfd(c); err != nil {
		c.close()
		return nil, err
	}
	if err := cc.openCallerPidns(c, &status); err != nil {
		c.close()
		return nil, err
	}
	userns, err := c.dir.NS("user")
	if err != nil {
		c.close()
		return nil, fmt.Errorf("read user namespace of thread %d: %w", tid, err)
	}
	c.foreign = userns != cc.tasks.Self.Userns
	if err := cc.openLabel(c); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (cc *callerCache) openCallerPidfd(c *caller) error {
	var err error
	switch {
	case !cc.tasks.Features.PidfdOpen:
		return nil
	case cc.tasks.Features.ThreadPidfd:
		c.pidfd, err = unix.PidfdOpen(int(c.tid), unix.PIDFD_THREAD)
	default:
		c.private = true
		c.pidfd, err = unix.PidfdOpen(int(c.tgid), 0)
	}
	if err != nil {
		c.pidfd = -1
		return fmt.Errorf("open pidfd of thread %d: %w", c.tid, err)
	}
	return nil
}

func (cc *callerCache) openCallerPidns(c *caller, status *proc.Status) error {
	c.number = c.tgid
	ns, err := c.dir.NS("pid")
	if err != nil {
		return fmt.Errorf("read pid namespace of thread %d: %w", c.tid, err)
	}
	if ns == cc.tasks.Self.Pidns {
		return nil
	}
	c.nested = true
	if c.pidns, err = c.dir.OpenNS("pid"); err != nil {
		return fmt.Errorf("open pid namespace of thread %d: %w", c.tid, err)
	}
	return cc.numberInOwnNamespace(c, status)
}

// numberInOwnNamespace finds the caller's tgid as it sees it itself: the last of the
// leader's NSpid, which is the namespace's own numbering.
func (cc *callerCache) numberInOwnNamespace(c *caller, status *proc.Status) error {
	if c.tid != c.tgid {
		leader, err := cc.tasks.Proc.Dir(c.tgid)
		if err != nil {
			return fmt.Errorf("open process %d: %w", c.tgid, err)
		}
		defer leader.Close()
		status = &proc.Status{}
		if err := leader.Status(status); err != nil {
			return fmt.Errorf("read status of process %d: %w", c.tgid, err)
		}
	}
	c.number = 0
	if status.NSpids > 0 {
		c.number = status.NSpid[status.NSpids-1]
	}
	return nil
}

// openLabel opens what a caller's label is read from at each of its calls, where a security
// module labels tasks: a label changes at execve, and where the task asks for another. The
// file stays the task's, not its program's (fs/proc/base.c, proc_pid_attr_read).
func (cc *callerCache) openLabel(c *caller) (err error) {
	if cc.tasks.Self.Label == "" {
		return nil
	}
	if c.label, err = c.dir.Open("attr/current"); err != nil {
		c.label = -1
		return fmt.Errorf("open the label of thread %d: %w", c.tid, err)
	}
	c.labelled = cc.isLabelled(c)
	return nil
}

// isLabelled reports whether the caller has another label than the supervisor, now. One that
// cannot be read is another.
func (cc *callerCache) isLabelled(c *caller) bool {
	if c.label < 0 {
		return false
	}
	if cc.label == nil {
		cc.label = make([]byte, len(cc.tasks.Self.Label)+1)
	}
	for {
		n, err := unix.Pread(c.label, cc.label, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err != nil || string(cc.label[:max(n, 0)]) != cc.tasks.Self.Label
	}
}
