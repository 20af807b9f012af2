package front

import (
	"os"

	"golang.org/x/sys/unix"
)

// Who has asked for a signal at its parent's death (PR_SET_PDEATHSIG) means the one who
// started it, which under us is the front's parent. The front asks for one itself, and the
// thread that has forked COMMAND ends when it comes: so the kernel signals COMMAND, if it
// has asked.

// askedFor is what the front asks for where it was not born with a signal. Nobody else
// sends it to a process that has no socket.
const askedFor = unix.SIGURG

// watchParent asks for it.
func (f *front) watchParent() error {
	f.parent = os.Getppid()
	if f.birth.death != 0 {
		return nil
	}
	return os.NewSyscallError("prctl(PR_SET_PDEATHSIG)", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(askedFor), 0, 0, 0))
}

// tellsOfParent tells whether n is that signal. Where the supervisor has died no thread is left to
// end.
func (f *front) tellsOfParent(n *note) bool {
	sig := f.birth.death
	if sig == 0 {
		sig = askedFor
	}
	return n.signal() == sig && n.code() == siUser && os.Getppid() != f.parent && !f.orphaned
}
