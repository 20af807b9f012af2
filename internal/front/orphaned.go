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

// starter is who started us, and the signal that says that it has ended.
type starter struct {
	pid   int
	death unix.Signal
}

// watchParent asks for it. death is what we were born with, 0 for none.
func watchParent(death unix.Signal) (starter, error) {
	if death != 0 {
		return starter{os.Getppid(), death}, nil
	}
	s := starter{os.Getppid(), askedFor}
	return s, os.NewSyscallError("prctl(PR_SET_PDEATHSIG)", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(askedFor), 0, 0, 0))
}

// died reports whether n is that signal.
func (s starter) died(n *note) bool {
	return n.signal() == s.death && n.code() == siUser && os.Getppid() != s.pid
}
