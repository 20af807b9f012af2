package shim

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// starved tells that the worker's thread runs, or could if it had a processor: it does not
// wait for a caller, however long it has been where it is (proc_pid_stat(5), state R). A
// read of a page that nobody fills is in state D or S.
func (w *Worker) starved() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", w.tid.Load()))
	if err != nil {
		return false
	}
	name := bytes.LastIndexByte(stat, ')') // which may contain anything
	return name >= 0 && bytes.HasPrefix(stat[name:], []byte(") R"))
}

// runSoon has the scheduler run this thread soon after it is woken, without giving it more of
// the processors than others have: by asking for short slices, which come first (since 6.12,
// sched(7), sched_setattr(2), commit "sched/eevdf: Use sched_attr::sched_runtime to set request/slice
// suggestion"; older kernels ignore it). A caller can be interrupted until it has been received.
func runSoon() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return
	}
	attr.Runtime = shortSlice
	_ = unix.SchedSetAttr(0, attr, 0)
}

const shortSlice = 100_000 // ns, the kernel's least (kernel/sched/syscalls.c, __setparam_fair)
