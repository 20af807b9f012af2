package supervisor

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// tasks are processes and threads as procfs shows them.
type tasks struct{ fs *proc.FS }

func (b *Base) tasks() tasks { return tasks{b.Proc} }

// tracerOf tells who traces a thread: 0 for nobody, or where it has ended.
func (t tasks) tracerOf(tid int32) (pid int32, err error) {
	dir, err := t.fs.Dir(tid)
	if err == nil {
		defer dir.Close()
		var status proc.Status
		err = dir.Status(&status)
		pid = status.TracerPid
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	return pid, err
}

// isInit tells whether a task is the init of a pid namespace below ours.
func (t tasks) isInit(tid int32) bool {
	dir, err := t.fs.Dir(tid)
	if err != nil {
		return false
	}
	defer dir.Close()
	var status proc.Status
	return dir.Status(&status) == nil && status.NSpids > 1 && status.NSpid[status.NSpids-1] == 1
}

// hasEnded tells whether a task has ended, reaped or not.
func (t tasks) hasEnded(tid int32) bool {
	dir, err := t.fs.Dir(tid)
	if err != nil {
		return true
	}
	defer dir.Close()
	var stat proc.Stat
	return dir.Stat(&stat) != nil || stat.State == 'Z' || stat.State == 'X'
}

// threads lists the threads of a process, as far as they can be told.
func (t tasks) threads(pid int32) (tids []int32) {
	_ = t.fs.EachThread(pid, func(tid int32) bool {
		tids = append(tids, tid)
		return true
	})
	return tids
}

// stat is empty where it cannot be told.
func (t tasks) stat(pid int32) (stat proc.Stat) {
	dir, err := t.fs.Dir(pid)
	if err != nil {
		return stat
	}
	defer dir.Close()
	if dir.Stat(&stat) != nil {
		return proc.Stat{}
	}
	return stat
}
