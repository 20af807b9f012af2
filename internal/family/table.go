package family

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// Table has every descriptor that somebody holds, by its pipe, and whom they mean.
type Table struct {
	// Proc shows the callers' descriptors, and tasks that nobody traces.
	Proc *proc.FS

	// Own is our pid namespace.
	Own proc.NSID

	// Opens is the filter by which callers that have descriptors come to us to open files.
	Opens []unix.SockFilter

	// Traced tells whether a task's end is the tracer's to see before anybody else's.
	Traced func(tid int32) bool

	epoll, wake int

	mu      sync.Mutex // guards below
	targets map[name]*Target
	ends    map[uint64]*end // by the pipe's inode
	looked  bool            // the watcher has something to look at by itself
}

// name is a process, or one thread: PIDFD_THREAD.
type name struct {
	pid    int32
	thread bool
}

// Target is whom descriptors mean, as long as there are some.
type Target struct {
	Pid    int32 // as the supervisor counts
	Thread bool

	dir    int         // its /proc directory, which stays with it
	within []proc.NSID // its pid namespace, and those above up to ours
	traced bool        // else it is looked at
	state  state
	users  int // descriptors, and whoever is about to make one
	ends   map[*end]struct{}
}

type state uint8

const (
	alive  state = iota
	ended        // and can be waited for
	reaped       // nothing of it is left
)

// end is our end of a descriptor's pipe.
type end struct {
	inode  uint64
	fd     int // -1: closed, because its target was reaped
	target *Target
}

// New starts the thread that watches: what a caller does must not need one.
func New(fs *proc.FS, own proc.NSID, traced func(tid int32) bool) (*Table, error) {
	t := &Table{Proc: fs, Own: own, Traced: traced, targets: map[name]*Target{}, ends: map[uint64]*end{}}
	if err := t.startWatcher(); err != nil {
		return nil, err
	}
	return t, nil
}

// Empty tells that nobody holds a descriptor.
func (t *Table) Empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.targets) == 0
}

// Watch begins to watch a task on behalf of a descriptor to come. ESRCH: it is gone.
func (t *Table) Watch(pid int32, thread bool) (*Target, error) {
	traced := t.Traced(pid)
	dir, err := t.Proc.OpenDir(pid)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := name{pid, thread}
	if known := t.targets[key]; known != nil {
		if t.look(known); known.state != reaped {
			_ = unix.Close(dir)
			known.users++
			return known, nil
		}
	}
	target := &Target{Pid: pid, Thread: thread, dir: dir, users: 1, ends: map[*end]struct{}{}}
	t.targets[key] = target
	target.within = t.within(dir)
	t.look(target)
	if target.traced = traced; target.state == reaped {
		t.leave(target)
		return nil, unix.ESRCH
	}
	return target, nil
}

// within lists a task's pid namespaces, from its own up to ours.
func (t *Table) within(dir int) (list []proc.NSID) {
	ns, err := t.Proc.DirFromFD(dir).OpenNS("pid")
	for err == nil {
		var id proc.NSID
		if id, err = proc.NSOf(ns); err == nil {
			list = append(list, id)
		}
		if err != nil || id == t.Own {
			_ = unix.Close(ns)
			break
		}
		child := ns
		ns, err = proc.NSParent(child)
		_ = unix.Close(child)
	}
	return list
}

// Leave is the end of what Watch began.
func (t *Table) Leave(target *Target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leave(target)
}

// leave has mu held.
func (t *Table) leave(target *Target) {
	if target.users--; target.users > 0 {
		return
	}
	_ = unix.Close(target.dir)
	if key := (name{target.Pid, target.Thread}); t.targets[key] == target {
		delete(t.targets, key)
	}
}

// attach makes a pipe, of which a stopped task has the writing end as a descriptor, one that
// means the target, and takes over what Watch began.
func (t *Table) attach(tid, write int32, target *Target) (inode uint64, err error) {
	fd, err := t.Proc.OpenFD(tid, write, unix.O_WRONLY|unix.O_NONBLOCK)
	if err != nil {
		return 0, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	// Sixteen pages a pipe would soon be all that an unprivileged user may have (pipe(7)).
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, 4096)
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &end{inode: stat.Ino, fd: fd, target: target}
	t.ends[e.inode] = e
	target.ends[e] = struct{}{}
	if err := t.await(e); err != nil {
		t.drop(e)
		return 0, err
	}
	if target.state >= ended {
		e.ready()
	}
	if target.state == reaped {
		e.hangUp()
	}
	t.rouse(target)
	return e.inode, nil
}

// drop forgets a descriptor that nobody holds any more. Precondition: mu is held.
func (t *Table) drop(e *end) {
	e.hangUp()
	if t.ends[e.inode] == e {
		delete(t.ends, e.inode)
	}
	delete(e.target.ends, e)
	t.leave(e.target)
}

// ready makes the descriptor readable, for good unless somebody reads it.
func (e *end) ready() {
	if e.fd >= 0 {
		_, _ = unix.Write(e.fd, []byte{0})
	}
}

// hangUp adds POLLHUP to that.
func (e *end) hangUp() {
	if e.fd >= 0 {
		_ = unix.Close(e.fd)
		e.fd = -1
	}
}

// Ended is called by the tracer right before it reaps a task, which has ended whole: from
// the moment after on its parent can wait for it. Whoever is woken here and asks at once is a
// caller of ours, and stops, until then (session's filter has every wait).
func (t *Table) Ended(tid int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range [2]name{{tid, false}, {tid, true}} {
		if target := t.targets[key]; target != nil && target.state == alive {
			t.end(target, ended)
			t.rouse(target)
		}
	}
}

// end notes how far the target's end has come. Precondition: mu is held.
func (t *Table) end(target *Target, now state) {
	before := target.state
	target.state = now
	for e := range target.ends {
		if before == alive {
			e.ready()
		}
		if now == reaped {
			e.hangUp()
		}
	}
	if key := (name{target.Pid, target.Thread}); now == reaped && t.targets[key] == target {
		delete(t.targets, key) // the number is another's from now on
	}
}

// Meaning is what a caller's descriptor means.
type Meaning struct {
	Pid      int32
	Thread   bool
	Dir      int // its /proc directory, a descriptor of whoever asked
	Ended    bool
	Reaped   bool
	Within   []proc.NSID // its pid namespace, and those above
	Nonblock bool
}

// Find tells what a caller's descriptor means; false: it is none of ours.
func (t *Table) Find(tid, fd int32) (m Meaning, ours bool, err error) {
	inode, isPipe := t.Proc.Pipe(tid, fd)
	if !isPipe {
		return m, false, nil
	}
	t.mu.Lock()
	e := t.ends[inode]
	t.mu.Unlock()
	if e == nil {
		return m, false, nil
	}
	info, err := t.Proc.FdInfo(tid, fd)
	if err != nil {
		return m, false, err
	}
	if info.Flags&(unix.O_PATH|unix.O_ACCMODE) != 0 { // opened anew: as what is no descriptor any more
		return m, false, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ends[inode] != e {
		return m, false, nil
	}
	t.look(e.target)
	m = Meaning{
		Pid: e.target.Pid, Thread: e.target.Thread, Within: e.target.within, Dir: -1,
		Ended: e.target.state >= ended, Reaped: e.target.state == reaped, Nonblock: info.Flags&unix.O_NONBLOCK != 0,
	}
	if !m.Reaped {
		m.Dir, err = unix.FcntlInt(uintptr(e.target.dir), unix.F_DUPFD_CLOEXEC, 0)
	}
	return m, true, err
}
