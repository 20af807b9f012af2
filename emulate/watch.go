package emulate

import (
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Watch learns of what changes whom the kernel would let a caller signal. The few calls
// that do are notified, which the kernel then runs in the caller: reading it anew for
// every signal would cost a third of the signal. A nil Watch learns nothing.
type Watch struct {
	// Partial says that somebody else's filter may keep such calls from us: what one
	// tells is heeded, but nothing is known until the next.
	Partial bool

	// Proc is where tasks that enter a Landlock domain are looked up.
	Proc *proc.FS

	count   atomic.Uint64 // calls that may change a user namespace
	domains domains
}

// Namespace handles unshare(CLONE_NEWUSER) and setns, by which a thread may come into
// another user namespace. It makes its next call after this one, so whatever is read of
// it then is read of its new namespace.
func (w *Watch) Namespace(c *shim.Call) shim.Verdict {
	w.count.Add(1)
	c.Record.Path = shim.PathContinue
	return shim.Pass()
}

// generation tells how old what is known of user namespaces may be.
func (w *Watch) generation() uint64 {
	if w == nil {
		return 0
	}
	return w.count.Load()
}

// domains are the Landlock domains that tasks have entered. One can forbid signals to those
// outside it (LANDLOCK_SCOPE_SIGNAL, 6.12) and cannot be seen from outside. It is the calling
// thread's, and of all that descends from it and is started afterwards: whoever may be one of
// those is not sent for, but makes the call itself.
type domains struct {
	everybody atomic.Bool // nobody would tell us, or too many did

	mu   sync.Mutex // guards writing below
	list atomic.Pointer[[]domain]
}

// domain is one that was entered, as far as it says who else is in it.
type domain struct {
	thread task.ID
	tgid   int32
	whole  bool      // all threads of the process (LANDLOCK_RESTRICT_SELF_TSYNC)
	began  uint64    // no descendant in it was born before, in clock ticks since boot
	nested bool      // in a pid namespace below ours, out of which nobody is born
	above  []task.ID // its process, and those above it; nil: not known
}

const (
	maxDomains  = 256 // from then on everybody may be in one
	maxAncestry = 64  // levels of processes that are told apart

	tsync = 1 << 3 // LANDLOCK_RESTRICT_SELF_TSYNC, <linux/landlock.h>
)

// Landlock handles landlock_restrict_self, which the kernel then runs.
func (w *Watch) Landlock(c *shim.Call) shim.Verdict {
	c.Record.Path = shim.PathContinue
	switch {
	case w.domains.everybody.Load() || !kernel.LandlockScopesSignals():
	case w.Proc == nil:
		w.Confine()
	default:
		w.domains.enter(w.Proc, c.Tid, c.Args.Uint(1)&tsync != 0)
	}
	return shim.Pass()
}

// Confine says that callers may be in a Landlock domain, which nobody would tell us of.
func (w *Watch) Confine() { w.domains.everybody.Store(true) }

// mayBeConfined reports whether a caller may be in a domain that the supervisor is not in.
func (w *Watch) mayBeConfined(c *caller) bool {
	if w == nil {
		return false
	}
	list := w.domains.list.Load()
	return w.domains.everybody.Load() || list != nil && mayBeIn(w.Proc, *list, c)
}

// enter notes a thread that is about to enter a domain, and waits in that call.
func (ds *domains) enter(fs *proc.FS, tid int32, whole bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d, err := domainOf(fs, tid)
	d.whole = whole
	var list []domain
	if old := ds.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	known := slices.ContainsFunc(list, func(other domain) bool { return other.thread == d.thread && (other.whole || !whole) })
	switch {
	case err != nil, !known && len(list) == maxDomains:
		ds.everybody.Store(true)
	case !known:
		list = append(list, d)
		ds.list.Store(&list)
	}
}

func domainOf(fs *proc.FS, tid int32) (d domain, err error) {
	var now unix.Timespec
	if err = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return d, err
	}
	d.began = uint64(now.Nano()) / (1e9 / 100) // USER_HZ, as in stat
	dir, err := fs.Dir(tid)
	if err != nil {
		return d, err
	}
	defer dir.Close()
	var status proc.Status
	var stat proc.Stat
	if err = dir.Status(&status); err == nil {
		err = dir.Stat(&stat)
	}
	d.thread, d.tgid, d.nested = task.ID{Pid: tid, Unique: stat.Start}, status.Tgid, status.NSpids > 1
	for pid := d.tgid; err == nil && pid > 1 && len(d.above) < maxAncestry; pid = stat.PPid {
		stat, err = statOf(fs, pid)
		d.above = append(d.above, task.ID{Pid: pid, Unique: stat.Start})
	}
	if len(d.above) == maxAncestry {
		d.above = nil
	}
	return d, err
}

func statOf(fs *proc.FS, pid int32) (stat proc.Stat, err error) {
	dir, err := fs.Dir(pid)
	if err != nil {
		return stat, err
	}
	defer dir.Close()
	err = dir.Stat(&stat)
	return stat, err
}

// mayBeIn reports whether a caller may be in one of the domains.
func mayBeIn(fs *proc.FS, list []domain, c *caller) bool {
	var possible []domain
	for i := range list {
		d := &list[i]
		switch {
		case d.thread == task.ID{Pid: c.tid, Unique: c.start}:
			return true
		case d.tgid == c.tgid:
			// A thread that calls execve becomes the leader, and keeps its domain.
			if d.whole || c.start >= d.began || c.tid == c.tgid && hasEnded(fs, d.thread) {
				return true
			}
		case c.start < d.began:
		case c.nested: // setns(2) makes children of those who are above nobody there
			return true
		case !d.nested:
			possible = append(possible, *d)
		}
	}
	return len(possible) > 0 && mayDescend(fs, possible, c.tgid)
}

func hasEnded(fs *proc.FS, t task.ID) bool {
	stat, err := statOf(fs, t.Pid)
	return err != nil || stat.Start != t.Unique
}

// mayDescend climbs from a process that was born after the domains began. Whoever bore a
// process is its parent or was at that time below it: a child that has another made its
// parent's (CLONE_PARENT), or an orphan's late parent. So a domain comes to a process only
// through parents that are above the domain's own, or in it; and an older one is neither.
func mayDescend(fs *proc.FS, possible []domain, pid int32) bool {
	for range maxAncestry {
		stat, err := statOf(fs, pid)
		if err != nil || stat.PPid <= 1 {
			return true
		}
		possible = slices.DeleteFunc(possible, func(d domain) bool { return stat.Start < d.began })
		if len(possible) == 0 {
			return false
		}
		parent, err := statOf(fs, stat.PPid)
		if err != nil {
			return true
		}
		for i := range possible {
			if above := possible[i].above; above == nil || slices.Contains(above, task.ID{Pid: stat.PPid, Unique: parent.Start}) {
				return true
			}
		}
		pid = stat.PPid
	}
	return true
}
