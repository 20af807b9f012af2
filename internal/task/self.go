package task

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Self is what the supervisor has to know of itself.
type Self struct {
	Pid    int32
	Pidns  proc.NSID
	Userns proc.NSID

	// WholeUserns is true where every uid has a number of its own here. Elsewhere two
	// different users can both show as the overflow uid.
	WholeUserns bool

	MayKill bool   // CAP_KILL is effective
	Label   string // see labelOf
}

// OverflowUID is what a uid without a number in this user namespace is shown as.
const OverflowUID = 65534

// ReadSelf gathers it once, before the command starv.
func ReadSelf(fs *proc.FS) (Self, error) {
	s := Self{Pid: int32(unix.Getpid())}
	dir, err := fs.Dir(s.Pid)
	if err != nil {
		return s, fmt.Errorf("open our own /proc directory: %w", err)
	}
	defer dir.Close()
	if s.Pidns, err = dir.NS("pid"); err != nil {
		return s, fmt.Errorf("read our pid namespace: %w", err)
	}
	if s.Userns, err = dir.NS("user"); err != nil {
		return s, fmt.Errorf("read our user namespace: %w", err)
	}
	s.MayKill = sys.EffectiveCaps(s.Pid)&(1<<unix.CAP_KILL) != 0
	s.Label = labelOf(dir)
	text, err := dir.ReadText("uid_map")
	if err != nil {
		return s, fmt.Errorf("read our uid_map: %w", err)
	}
	var inside, outside, count uint32
	_, _ = fmt.Sscan(text, &inside, &outside, &count)
	s.WholeUserns = inside == 0 && count == 1<<32-1
	return s, nil
}

// labelOf is what the security module calls a task; empty where there is none.
func labelOf(dir *proc.Dir) string {
	text, err := dir.ReadText("attr/current")
	if err != nil {
		return ""
	}
	return text
}

// SameUID reports whether two ids that we see are one user's.
func (s *Self) SameUID(a, b uint32) bool {
	return a == b && (s.WholeUserns || a != OverflowUID)
}
