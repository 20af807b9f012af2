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

// runSoon has the scheduler run this thread soon after it is woken, and not take the processor
// from it for who it has just woken: a caller can be interrupted until it has been received, and
// who is told of one signal's success often makes its next call at once. Short slices come first
// (since 6.12, sched(7), sched_setattr(2), commit "sched/eevdf: Use sched_attr::sched_runtime to set
// request/slice suggestion"; older kernels ignore it), but only of a thread that has not had more than
// others (kernel/sched/fair.c, pick_eevdf): one that answers calls soon has. So it gets more weight, too,
// where it may, which is with CAP_SYS_NICE or below RLIMIT_NICE.
func runSoon() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return
	}
	attr.Runtime = shortSlice
	nicer := *attr
	nicer.Nice = max(attr.Nice-Urgency, leastNice)
	if unix.SchedSetAttr(0, &nicer, 0) != nil {
		_ = unix.SchedSetAttr(0, attr, 0)
	}
}

const (
	shortSlice = 100_000 // ns, the kernel's least (kernel/sched/syscalls.c, __setparam_fair)
	leastNice  = -20     // <linux/sched/prio.h>, MIN_NICE

	// Urgency is by how much the nice value of threads that serve is below the others'.
	Urgency = 10
)
