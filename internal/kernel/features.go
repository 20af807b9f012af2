package kernel

import "golang.org/x/sys/unix"

// Features is what a run may use of this kernel. It is a plain value: taken once at
// start by ForRun, then passed to whoever needs it. What could not be told counts
// as absent, so that nothing is relied on that was not seen to work.
type Features struct {
	SendSignal  bool   // pidfd_send_signal itself, 5.1
	SignalFlags uint32 // the flag bits it takes: 0, or 7 from 6.9
	SelfThread  int32  // PIDFD_SELF_THREAD as this kernel has it, 6.15; 0: none
	SelfGroup   int32  // PIDFD_SELF_THREAD_GROUP: -20000 in 6.15, -10001 from 6.17; 0: none

	PidfdOpen   bool // pidfd_open, 5.3
	Getfd       bool // pidfd_getfd, 5.6
	ThreadPidfd bool // PIDFD_THREAD, 6.9
	Info        bool // PIDFD_GET_INFO, 6.13

	Notify       bool // RET_USER_NOTIF and a listener, 5.0
	Continue     bool // SECCOMP_USER_NOTIF_FLAG_CONTINUE, 5.5
	IDValidNew   bool // NOTIF_ID_VALID with its direction corrected, 5.9 and stable kernels
	WaitKillable bool // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 5.19
	SyncWakeUp   bool // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 6.6

	NSTranslate bool // NS_GET_TGID_FROM_PIDNS and its three sisters, 6.11
	Openat2     bool // openat2, 5.6

	// KillableBroken is told to a run that relies on WaitKillable, which otherwise asks
	// WaitKillableHolds itself.
	KillableBroken bool

	// NoSyscallInfo is told to a tracer, which otherwise asks GetSyscallInfo itself.
	NoSyscallInfo bool

	// OldTraceOrder is told to a run under ptrace, which otherwise asks TraceOrder itself.
	OldTraceOrder bool

	Marked bool // the ABIs that mark their calls' numbers, where the kernel was built with them

	// What a filter around us says first to pidfd_send_signal and to pidfd_open; the zero
	// value where they reach us.
	SendFirst, OpenFirst Outcome
}

// ForRun asks what a run needs, and no more: it is on the way of every start.
func ForRun() Features {
	f := Features{
		SendSignal:   PidfdSendSignal() == nil,
		SignalFlags:  SignalFlags(),
		SelfThread:   firstSelf(selfThreadValues),
		SelfGroup:    firstSelf(selfGroupValues),
		WaitKillable: WaitKillableRecv() == nil,
		NSTranslate:  NSTranslate() == nil,
		Openat2:      Openat2() == nil,
		Marked:       markedCalls() == nil,
	}
	f.askPidfd()
	f.askListener()
	f.askSandbox()
	return f
}

// askPidfd asks what needs a pidfd of our own to ask it of.
func (f *Features) askPidfd() {
	pidfd, err := openSelf(0)
	if err != nil {
		return
	}
	defer unix.Close(pidfd)
	f.PidfdOpen = true
	f.Getfd = getfd(pidfd) == nil
	f.ThreadPidfd = PidfdThread() == nil
	f.Info = info(pidfd) == nil
}

// askSandbox makes the calls that cannot be had under a filter of ours, if there is a filter
// around us that may be why. What cannot be told counts as reaching us.
func (f *Features) askSandbox() {
	if f.SendSignal && f.PidfdOpen || !Filtered() {
		return
	}
	if !f.SendSignal {
		f.SendFirst, _ = ReachTraced(unix.SYS_PIDFD_SEND_SIGNAL)
	}
	if !f.PidfdOpen {
		f.OpenFirst, _ = ReachTraced(unix.SYS_PIDFD_OPEN)
	}
}

// askListener asks what needs a listener to ask it of.
func (f *Features) askListener() {
	_ = withListener(func(listener int) error {
		f.Notify = true
		f.Continue = listenerContinue(listener) == nil
		f.IDValidNew = listenerIDValid(listener, unix.SECCOMP_IOCTL_NOTIF_ID_VALID) == nil
		f.SyncWakeUp = listenerSyncWakeUp(listener) == nil
		return nil
	})
}
