package kernel

import (
	"errors"
	"fmt"
)

// Feature is something a kernel may have.
type Feature struct {
	Name  string // as on doctor's first column: short, stable
	Since string // the first kernel version that had it
	What  string // what the shim does with it
}

// Result is a feature and what became of trying it.
type Result struct {
	Feature
	Err    error  // nil, errors.ErrUnsupported, or why it could not be told
	Detail string // what a yes does not say: a value, a list
}

// The three answers.
const (
	Present = "present"
	Absent  = "absent"
	Unknown = "unknown"
)

// State is one of Present, Absent and Unknown.
func (r Result) State() string {
	switch {
	case r.Err == nil:
		return Present
	case errors.Is(r.Err, errors.ErrUnsupported):
		return Absent
	}
	return Unknown
}

// Set is what was found, in the order of the table.
type Set []Result

// Find returns the result of the feature with this name.
func (s Set) Find(name string) (Result, bool) {
	for _, r := range s {
		if r.Name == name {
			return r, true
		}
	}
	return Result{}, false
}

// Probe tries every feature. It starts three short-lived children, so it is for
// doctor and for tests; a run asks ForRun.
func Probe() Set {
	rows := table()
	set := make(Set, 0, len(rows))
	for _, row := range rows {
		detail, err := row.try()
		set = append(set, Result{row.Feature, err, detail})
	}
	return set
}

// trial is a feature and how to try it.
type trial struct {
	Feature
	try func() (detail string, err error)
}

// table is every feature, by subject and then by age. It is a function because a
// variable of this size would be made at every start.
func table() []trial {
	return append([]trial{
		{Feature{"pidfd_send_signal", "5.1", "the call itself: else every call is emulated"}, plain(PidfdSendSignal)},
		{Feature{"pidfd_open", "5.3", "handles by number; the strongest guard"}, plain(PidfdOpen)},
		{Feature{"pidfd_getfd", "5.6", "the caller's very descriptor"}, plain(PidfdGetfd)},
		{Feature{"PIDFD_THREAD", "6.9", "callers' pidfds of threads"}, plain(PidfdThread)},
		{Feature{"signal flags", "6.9", "scope by flag: thread, group, process group"}, flagsDetail},
		{Feature{"pidfd namespaces", "6.11", "namespaces of a target without its /proc"}, plain(pidfdNamespaces)},
		{Feature{"PIDFD_GET_INFO", "6.13", "ids and credentials without reading text"}, plain(PidfdInfo)},
		{Feature{"PIDFD_SELF", "6.15", "callers' word for themselves"}, selfDetail},

		{Feature{"user notification", "5.0", "the notify backend"}, plain(userNotif)},
		{Feature{"listener", "5.0", "ours to have: no outer supervisor holds one"}, plain(Listener)},
		{Feature{"ID_VALID (old)", "5.0", "asks whether a caller still waits"}, plain(oldIDValid)},
		{Feature{"FLAG_CONTINUE", "5.5", "mode continue"}, plain(NotifContinue)},
		{Feature{"TSYNC_ESRCH", "5.7", "a listener over all threads of an agent"}, plain(tsyncEsrch)},
		{Feature{"ID_VALID (new)", "5.9", "asks whether a caller still waits"}, plain(IDValidNew)},
		{Feature{"ADDFD", "5.9", "descriptors into a caller"}, plain(addFD)},
		{Feature{"WAIT_KILLABLE_RECV", "5.19", "exactly once: a received call is not interrupted; one that is not yet can say EINTR (SA_RESTART or ptrace help)"}, plain(WaitKillableRecv)},
		{Feature{"WAIT_KILLABLE holds", "6.18", "and an answered one is not made again: else a ledger"}, plain(WaitKillableHolds)},
		{Feature{"SYNC_WAKE_UP", "6.6", "answers nine times faster on an idle machine"}, plain(SyncWakeUp)},

		{Feature{"PTRACE_SEIZE", "3.4", "pins a target's number"}, plain(ptraceSeize)},
		{Feature{"trace order", "4.8", "the ptrace backend: a call is filtered after its entry stop"}, plain(TraceOrder)},
		{Feature{"GET_SYSCALL_INFO", "5.3", "which ABI a stopped caller called by"}, plain(GetSyscallInfo)},
		{Feature{"process_vm_readv", "3.2", "reads a caller's siginfo"}, plain(ProcessVMReadv)},
		{Feature{"kcmp files", "3.5", "whether threads share descriptors"}, plain(comparesFiles)},
		{Feature{"Yama scope", "3.4", "who may trace whom"}, yamaScope},
		{Feature{"Landlock", "5.13", "callers may be confined by it"}, landlockDetail},

		{Feature{"pid translation", "6.11", "a pid of one namespace in another"}, plain(NSTranslate)},
		{Feature{"openat2", "5.6", "opens that cannot cross a mount"}, plain(Openat2)},
		{Feature{"detached procfs", "5.2", "a /proc nobody can mount over"}, plain(detachedProcfs)},
	}, widths()...)
}

func plain(probe func() error) func() (string, error) {
	return func() (string, error) { return "", probe() }
}

func flagsDetail() (string, error) {
	if err := signalFlags(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%#x", SignalFlags()), nil
}

func selfDetail() (string, error) {
	if err := PidfdSelf(); err != nil {
		return "", err
	}
	return fmt.Sprintf("thread %d, group %d", firstSelf(selfThreadValues), firstSelf(selfGroupValues)), nil
}
