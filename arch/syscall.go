package arch

// Syscall names a system call regardless of the number an ABI gives it.
type Syscall uint8

// The calls that can come under supervision. NoSyscall is every other one.
const (
	NoSyscall Syscall = iota
	PidfdSendSignal
	Kill
	Tkill
	Tgkill
	RtSigqueueinfo
	RtTgsigqueueinfo
	Unshare
	Setns
	LandlockRestrictSelf
	Prctl
	Seccomp
	Ptrace

	// SyscallCount is the size of a table that has a place for each.
	SyscallCount
)

func (s Syscall) String() string {
	return [...]string{
		"unknown", "pidfd_send_signal", "kill", "tkill", "tgkill",
		"rt_sigqueueinfo", "rt_tgsigqueueinfo", "unshare", "setns", "landlock_restrict_self", "prctl", "seccomp", "ptrace",
	}[s]
}
