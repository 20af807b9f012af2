package emulate

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// numberHere translates a number of the caller's pid namespace into the supervisor's.
func (c *caller) pidFromNS(number int32) (int32, error) {
	switch {
	case number <= 0:
		return 0, unix.ESRCH
	case !c.nested:
		return number, nil
	case c.tasks.Features.NSTranslate:
		return proc.PidFromPidns(c.pidns, number)
	}
	return c.searchPid(number)
}

// searchNumber looks for the number among all tasks whose list of numbers is deep
// enough (before 6.11).
func (c *caller) searchPid(number int32) (int32, error) {
	ancestor, err := proc.NSOf(c.pidns)
	if err != nil {
		return 0, err
	}
	found := int32(0)
	err = c.tasks.Proc.EachTask(func(tid int32) bool {
		var status proc.Status
		if c.tasks.Status(tid, &status) == nil && c.depth > 0 && status.NSpids >= c.depth && status.NSpid[c.depth-1] == number &&
			c.tasks.LivesBelow(tid, ancestor) {
			found = tid
		}
		return found == 0
	})
	if err == nil && found == 0 {
		err = unix.ESRCH
	}
	return found, err
}

// numberFor translates a number of the supervisor's pid namespace into the caller's.
func (c *caller) pidInNS(pid int32) (int32, bool) {
	if pid <= 0 {
		return 0, false
	}
	if !c.nested {
		return pid, true
	}
	if c.tasks.Features.NSTranslate {
		number, err := proc.PidInPidns(c.pidns, pid)
		return number, err == nil
	}
	// NSpid lists the numbers from the supervisor's namespace inwards.
	var status proc.Status
	if c.tasks.Status(pid, &status) != nil || status.NSpids < c.depth || c.depth == 0 {
		return 0, false
	}
	return status.NSpid[c.depth-1], true
}

func (c *caller) sees(pid int32) bool {
	below, err := c.tasks.VisibleFrom(c.pidns, pid)
	return err == nil && below
}

// invalidUID is nobody's: the kernel maps it to the overflow uid.
const invalidUID = ^uint32(0)

// uidHere translates a uid of the caller's user namespace into the supervisor's, or
// to invalidUID.
func uidHere(c *caller, uid uint32) uint32 {
	text, err := c.dir.ReadText("uid_map")
	if err != nil {
		return invalidUID
	}
	return mappedUID(text, uid)
}

// mappedUID looks a uid up in the text of a uid_map: lines of inside, outside, count.
func mappedUID(text string, uid uint32) uint32 {
	const invalidUID = ^uint32(0)
	lines := strings.NewReader(text)
	for {
		var inside, outside, count uint64
		if _, err := fmt.Fscan(lines, &inside, &outside, &count); err != nil {
			return invalidUID
		}
		if uint64(uid) >= inside && uint64(uid)-inside < count {
			return uint32(outside + uint64(uid) - inside)
		}
	}
}
