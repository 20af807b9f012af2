package audit

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// facts are what a line says of a caller or a target.
type facts struct {
	tgid  int32
	uid   uint32 // real
	start uint64 // clock ticks since boot
	pidns uint64 // inode number, 0 if unknown
	comm  string
	exe   string

	// These, like comm and exe, may be as old as Fresh says.
	euid, gid uint32
	cgroup    string
	session   int32
	parents   []int32 // from its parent upwards; of a thread its process's
}

// gatherer reads facts and keeps handles on the tasks that it has seen. A handle
// proves itself each time it is used: it answers ESRCH once its task is gone, so a
// recycled number is never mistaken for its last owner. A task's start and active pid
// namespace never change and are read once.
type gatherer struct {
	fs    *proc.FS
	fresh time.Duration
	limit int // of handles; 0: not known yet

	mu      sync.Mutex // guards below
	known   map[int32]*task
	counter uint64
}

// task is a handle on one, and what is known of it.
type task struct {
	facts
	tid    int32
	dir    *proc.Dir
	pidfd  int   // -1 where the kernel has no PIDFD_GET_INFO
	named  int64 // when comm and exe were read, by shim.Monotonic
	used   uint64
	status proc.Status

	handle any // of shim.IDs: a handler's on the same task
}

// The bounds of handles, two descriptors a task: of a command, and of each of many
// containers.
const (
	maxTasks       = 64
	containerTasks = 16
)

// about tells the facts of whoever has the number now. Ids that are known of it, as of
// this call, are not read again.
func (g *gatherer) about(tid int32, ids shim.IDs, into *facts) bool {
	if tid <= 0 || g.fs == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.known[tid]
	before := int64(0)
	if t != nil {
		before = t.named
	}
	if t != nil && !t.refresh(g.fresh, ids) {
		g.drop(t)
		t = nil
	}
	if t == nil {
		if t = g.meet(tid); t == nil {
			return false
		}
	}
	if t.named != before {
		g.lookUp(t)
	}
	g.counter++
	t.used = g.counter
	*into = t.facts
	return true
}

// meet opens handles on a task that is not known yet.
func (g *gatherer) meet(tid int32) *task {
	dir, err := g.fs.Dir(tid)
	if err != nil {
		return nil
	}
	t := &task{tid: tid, dir: dir, pidfd: openPidfd(tid)}
	var stat proc.Stat
	if err := dir.Stat(&stat); err != nil || !t.refresh(0, shim.IDs{}) {
		t.close()
		return nil
	}
	t.start = stat.Start
	if ns, err := dir.NS("pid"); err == nil {
		t.pidns = ns.Ino
	}
	if g.known == nil {
		g.known = make(map[int32]*task)
	}
	if g.limit == 0 {
		g.limit = affordable()
	}
	if len(g.known) >= g.limit {
		g.drop(g.oldest())
	}
	g.known[tid] = t
	return t
}

// affordable is maxTasks, or a small part of the descriptors that this process may have:
// calls are served with the others.
func affordable() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 1
	}
	return int(min(max(limit.Cur/16, 1), maxTasks))
}

// openPidfd returns a pidfd that can be asked, or -1.
func openPidfd(tid int32) int {
	fd, err := unix.PidfdOpen(int(tid), unix.PIDFD_THREAD)
	if err != nil {
		return -1
	}
	var info proc.Info
	if err := proc.PidfdInfo(fd, &info); err != nil {
		_ = unix.Close(fd)
		return -1
	}
	return fd
}

// refresh brings everything up to date that can change, and tells whether the task
// still is.
func (t *task) refresh(fresh time.Duration, ids shim.IDs) bool {
	if !t.takeIDs(ids) && !t.readIDs() {
		return false
	}
	now := shim.Monotonic()
	if fresh > 0 && now-t.named < int64(fresh) {
		return true
	}
	comm, err := t.dir.Comm()
	if err != nil {
		return false
	}
	t.comm, t.named = comm, now
	t.exe, _ = t.dir.Exe()
	t.cgroup, _ = t.dir.Cgroup()
	// The handle and the directory were opened one after the other: only if the task
	// behind the first still lives now have both the same.
	return t.pidfd < 0 || t.readIDs()
}

// maxParents bounds the walk upwards.
const maxParents = 64

// lookUp reads who the task's parents are, each by its number: for a line, not for a decision.
func (g *gatherer) lookUp(t *task) {
	var stat proc.Stat
	t.parents = t.parents[:0:0] // the facts of before may still be in use
	if t.dir.Stat(&stat) != nil {
		return
	}
	t.session = stat.Session
	for pid := stat.PPid; pid > 0 && len(t.parents) < maxParents; pid = stat.PPid {
		t.parents = append(t.parents, pid)
		dir, err := g.fs.Dir(pid)
		if err != nil {
			return
		}
		err = dir.Stat(&stat)
		_ = dir.Close()
		if err != nil {
			return
		}
	}
}

// related are the relations between a caller and its target in the words of policies, all
// that can be told of two tasks: sandbox and init are not among them.
func related(dst []byte, caller, target *facts) []byte {
	held := false
	add := func(is bool, word string) {
		if !is {
			return
		}
		if held {
			dst = append(dst, ',')
		}
		dst, held = append(append(append(dst, '"'), word...), '"'), true
	}
	self := caller.tgid == target.tgid
	below := slices.Index(target.parents, caller.tgid)
	add(self, "self")
	add(!self && below == 0, "child")
	add(!self && slices.Index(caller.parents, target.tgid) == 0, "parent")
	add(!self && below >= 0, "descendant")
	add(caller.uid == target.uid, "same-uid")
	add(caller.session != 0 && caller.session == target.session, "same-session")
	add(caller.pidns != 0 && caller.pidns == target.pidns, "same-pidns")
	return dst
}

// takeIDs takes those that are known of whoever has the number: while the task lives, it.
// A handler's handle through which they were read tells that, once it is known to be of the
// task: of another it would have another number.
func (t *task) takeIDs(ids shim.IDs) bool {
	if !ids.Known || t.pidfd < 0 {
		return false
	}
	if ids.Handle == nil || ids.Handle != t.handle {
		if proc.PidfdEnded(t.pidfd) {
			return false
		}
		t.handle = ids.Handle
	}
	t.tgid, t.uid = ids.Tgid, ids.UID
	return true
}

func (t *task) readIDs() bool {
	if t.pidfd >= 0 {
		var info proc.Info
		if err := proc.PidfdInfo(t.pidfd, &info); err != nil || info.Pid != t.tid {
			return false
		}
		t.tgid, t.uid, t.euid, t.gid = info.Tgid, info.RUID, info.EUID, info.RGID
		return true
	}
	if err := t.dir.Status(&t.status); err != nil {
		return false
	}
	t.tgid, t.uid, t.euid, t.gid = t.status.Tgid, t.status.UID[0], t.status.UID[1], t.status.GID[0]
	return true
}

func (g *gatherer) oldest() *task {
	var oldest *task
	for _, t := range g.known {
		if oldest == nil || t.used < oldest.used {
			oldest = t
		}
	}
	return oldest
}

func (g *gatherer) drop(t *task) {
	delete(g.known, t.tid)
	t.close()
}

func (t *task) close() {
	_ = t.dir.Close()
	if t.pidfd >= 0 {
		_ = unix.Close(t.pidfd)
	}
}

func (g *gatherer) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.known {
		g.drop(t)
	}
}
