package front

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// relay takes one signal that reached the front and passes it on if COMMAND has
// not had it, after a while where that is not yet known. A terminal signals whole groups,
// those that it means.
func (f *front) relay() {
	n, ok := f.notes.next()
	if ok && n.signal() == unix.SIGCHLD {
		f.reapInherited()
	}
	if !ok || f.isOurs(n) { // not for the sentinel: the group's SIGCONT may come after the supervisor's
		return
	}
	if !f.orphaned && f.parent.died(n) { // else no thread is left to end
		var death note
		death.set(parentDied)
		f.pass(&death, false)
		return
	}
	group := f.sentinel.saw(n.signal()) || f.continued.again(n) || fromTerminal(n)
	if group && n.signal() == unix.SIGCONT {
		f.continued = groupContinue{n.pid(), time.Now()}
	}
	switch {
	case group && f.command.place() == inGroup:
	case f.orphaned || n.code() > 0 || atOnce().has(n.signal()):
		f.passOn(n, group)
	default:
		f.holding.add(n, group)
	}
}

// noteEarly keeps what came before COMMAND was there, from a terminal and to the
// whole group too, until it can be passed on. What the group gets between this and
// COMMAND's first moment in it, some 100 us later, is lost for COMMAND; repeating
// that would double what comes right after.
func (f *front) noteEarly() {
	for {
		n, ok := f.notes.next()
		if !ok {
			return
		}
		f.sentinel.saw(n.signal())
		if !f.isOurs(n) {
			f.early = append(f.early, n)
		}
	}
}

func (f *front) passEarly() {
	for _, n := range f.early {
		f.pass(n, false)
	}
	f.early = nil
}

// noted is where the handler's notes are read.
type noted int

func (fd noted) next() (*note, bool) {
	if !readable(int(fd), 0) {
		return nil, false
	}
	n := new(note)
	got, err := unix.Read(int(fd), n[:])
	return n, err == nil && got == len(n)
}

// pass has the supervisor signal COMMAND, or the whole group that it has made.
func (f *front) pass(n *note, whole bool) {
	p := passed{n, whole}
	if f.orphaned {
		f.command.pass(p)
		return
	}
	_ = sendPacket(f.sock, p.bytes(), 0) // a supervisor that died is noticed by receive
}

// sameContinue is how soon after a group's SIGCONT another one by its sender is
// taken for the group's, too.
const sameContinue = 50 * time.Millisecond

// groupContinue is the last SIGCONT of the whole group.
type groupContinue struct {
	pid int32
	at  time.Time
}

// again makes up for what the sentinel cannot count: fg, ^Z and fg before
// the front has run once leave it one SIGCONT for our two notes, and the second,
// passed on, would undo the next ^Z (seen with keys typed by a program). SIGCONT
// alone is treated so, for it alone undoes something.
func (c groupContinue) again(n *note) bool {
	return n.signal() == unix.SIGCONT && n.pid() == c.pid && time.Since(c.at) < sameContinue
}

// isOurs tells whether n is between us and ourselves: the Go runtime's SIGURG, the
// SIGPIPE of a write, the supervisor's SIGCONT, the end of a child. At the user's limit
// of queued signals (RLIMIT_SIGPENDING) the kernel delivers a thread's signal without
// its siginfo (kernel/signal.c, collect_signal): of those that we send to our threads it
// is then not known who sent them, and routeToOneThread's own would kill COMMAND.
func (f *front) isOurs(n *note) bool {
	switch {
	case n.isAnonymous() && setOf(routed, unix.SIGURG).has(n.signal()):
		return true
	case n.code() == siUser, n.code() == siTkill, n.code() == siQueue:
		sender := int(n.pid())
		return sender == os.Getpid() || sender == f.supervisor && f.supervisor != 0
	case n.signal() == unix.SIGCHLD:
		return n.code() > 0
	}
	return false
}

// fromTerminal: the line discipline sends these to the foreground group, with no
// sender (SI_KERNEL). Its SIGHUP and SIGCONT go to the session's leader alone.
func fromTerminal(n *note) bool {
	return n.code() > 0 && setOf(unix.SIGINT, unix.SIGQUIT, unix.SIGTSTP, unix.SIGTTIN,
		unix.SIGTTOU, unix.SIGWINCH).has(n.signal())
}
