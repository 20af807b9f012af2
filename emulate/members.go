package emulate

import (
	"errors"

	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// groups lists the processes that a group means.
type groups struct {
	tasks *task.View
	ours  func(pid int32) bool
}

// members lists the processes that are meant.
func (g *groups) members(a *attempt) (list []int32, err error) {
	looks, found := 0, 0
	listed := g.tasks.Proc.EachPid(func(pid int32) bool {
		if err = a.spend(&looks, quickLooks); err != nil {
			return false
		}
		if g.isMeant(a, pid) {
			err = a.spend(&found, quickMembers)
			list = append(list, pid)
		}
		return err == nil && len(list) < maxMembers
	})
	return list, errors.Join(err, listed)
}

// isMeant reports whether a process is in the group; of everybody, whether the caller sees it
// and it is neither the init of the caller's namespace nor the caller, nor ours.
func (g *groups) isMeant(a *attempt, pid int32) bool {
	if !a.target.everybody {
		group, known := g.tasks.Group(pid)
		return known && group == a.target.pid
	}
	if pid == a.caller.tgid || g.ours(pid) {
		return false
	}
	number, ok := a.caller.pidInNS(pid)
	return ok && number > 1 && (!a.caller.nested || a.caller.sees(pid))
}

// maxMembers bounds what one call can cost.
const maxMembers = 1 << 16
