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

	// Those of a kernel with process descriptors, and what callers are made to do for them.
	PidfdOpen
	PidfdGetfd
	Wait4
	Waitid
	Clone
	Clone3
	Ioctl
	Mmap
	Munmap
	Pipe2
	Read
	Close
	Open
	Openat
	Dup3
	MemfdCreate

	// SyscallCount is the size of a table that has a place for each.
	SyscallCount
)

// String implements fmt.Stringer.
func (s Syscall) String() string {
	return [...]string{
		"unknown", "pidfd_send_signal", "kill", "tkill", "tgkill",
		"rt_sigqueueinfo", "rt_tgsigqueueinfo", "unshare", "setns", "landlock_restrict_self", "prctl", "seccomp", "ptrace",
		"pidfd_open", "pidfd_getfd", "wait4", "waitid", "clone", "clone3", "ioctl", "mmap", "munmap", "pipe2", "read", "close", "open", "openat", "dup3", "memfd_create",
	}[s]
}
