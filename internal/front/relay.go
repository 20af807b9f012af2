package front

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// relay takes one signal that reached the front and passes it on if COMMAND has
// not had it.
func (f *front) relay() {
	n, ok := f.nextNote()
	if !ok || !f.isForCommand(n) {
		return
	}
	if n.signal() == unix.SIGCONT {
		f.lendTerminal()
	}
	f.pass(n)
}

// noteEarly keeps what came before COMMAND was there, from a terminal and to the
// whole group too, until it can be passed on. What the group gets between this and
// COMMAND's first moment in it, some 100 us later, is lost for COMMAND; repeating
// that would double what comes right after.
func (f *front) noteEarly() {
	for {
		n, ok := f.nextNote()
		if !ok {
			return
		}
		f.witness.saw(n.signal())
		if !f.isOurs(n) {
			f.early = append(f.early, n)
		}
	}
}

func (f *front) passEarly() {
	for _, n := range f.early {
		f.pass(n)
	}
	f.early = nil
}

func (f *front) nextNote() (*note, bool) {
	if !readable(f.notes, 0) {
		return nil, false
	}
	n := new(note)
	got, err := unix.Read(f.notes, n[:])
	return n, err == nil && got == len(n)
}

func (f *front) pass(n *note) {
	if f.orphaned {
		f.command.pass(n)
		return
	}
	_ = sendPacket(f.sock, n[:], 0) // a supervisor that died is noticed by receive
}

// isForCommand tells whether COMMAND has not had n from whoever sent it. What the
// whole group got it has had, unless it has left the group, as an interactive
// shell does: then the front stands for it. A terminal signals whole groups, those
// that it means.
func (f *front) isForCommand(n *note) bool {
	if f.isOurs(n) { // not for the witness: the group's SIGCONT may come after the supervisor's
		return false
	}
	inGroup := f.witness.saw(n.signal()) || f.isGroupsAgain(n)
	switch {
	case fromTerminal(n):
		return false
	case inGroup:
		if n.signal() == unix.SIGCONT {
			f.lastContinue.pid, f.lastContinue.at = n.pid(), time.Now()
		}
		group, err := unix.Getpgid(f.command.pid)
		return err == nil && group != unix.Getpgrp()
	}
	return true
}

// sameContinue is how soon after a group's SIGCONT another one by its sender is
// taken for the group's, too.
const sameContinue = 50 * time.Millisecond

// isGroupsAgain makes up for what the witness cannot count: fg, ^Z and fg before
// the front has run once leave it one SIGCONT for our two notes, and the second,
// passed on, would undo the next ^Z (seen with keys typed by a program). SIGCONT
// alone is treated so, for it alone undoes something.
func (f *front) isGroupsAgain(n *note) bool {
	return n.signal() == unix.SIGCONT && n.pid() == f.lastContinue.pid &&
		time.Since(f.lastContinue.at) < sameContinue
}

// isOurs tells whether n is between us and ourselves: the Go runtime's SIGURG, the
// SIGPIPE of a write, the supervisor's SIGCONT, the end of a child. At the user's limit
// of queued signals (RLIMIT_SIGPENDING) the kernel delivers a thread's signal without
// its siginfo (kernel/signal.c, collect_signal): of those that we send to our threads it
// is then not known who sent them, and funnel's own would kill COMMAND.
func (f *front) isOurs(n *note) bool {
	switch {
	case n.isAnonymous() && setOf(funnelled, unix.SIGURG).has(n.signal()):
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

// lendTerminal makes COMMAND's group the foreground one where the shell made ours
// that, for COMMAND (fg): natively COMMAND would lead the shell's job, under us an
// interactive shell has a group of its own, and stopped again at its first read.
func (f *front) lendTerminal() {
	group, err := unix.Getpgid(f.command.pid)
	if err != nil || group == unix.Getpgrp() {
		return
	}
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(tty)
	if foreground, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP); err == nil && foreground == unix.Getpgrp() {
		_ = unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, group)
	}
}
