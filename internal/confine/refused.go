package confine

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/notify"
)

// group is some calls that the agent never makes, and what somebody who has taken it over
// would make them for.
type group struct {
	Name  string
	Why   string
	Calls []uint32
}

// Refused are groups and no list of what is allowed, because what the Go runtime and
// libc call changes with their versions.
var Refused = []group{
	{"mount", "other file systems, roots and namespaces", []uint32{
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
		unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR,
		unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
		unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	}},
	{"kernel", "other code in the kernel, or another kernel", []uint32{
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_CREATE_MODULE,
		unix.SYS_QUERY_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_BPF, unix.SYS_KEXEC_LOAD,
		unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	}},
	{"machine", "ports, clocks, names, logs and accounts of the machine", []uint32{
		unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME,
		unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SYSLOG, unix.SYS_ACCT,
		unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL,
	}},
	{"attack surface", "parts of the kernel that the agent has no use for", []uint32{
		unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
		unix.SYS_IO_URING_REGISTER, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_PERSONALITY,
		unix.SYS_MODIFY_LDT, unix.SYS_EXECVEAT, unix.SYS_SHMAT, unix.SYS_PROCESS_VM_WRITEV,
		unix.SYS_PROCESS_MADVISE, unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
	}},
	// By CAP_DAC_READ_SEARCH a handle, which is a guessed number, opens any file of a
	// file system, whatever is mounted here.
	{"handles", "files that no path leads to", []uint32{
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_MKNOD, unix.SYS_MKNODAT,
	}},
}

// newNamespaces are the CLONE_NEW* that clone(2) takes; CLONE_NEWTIME is in the bits of its
// exit signal.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// ByArguments says what refusedArguments comes to, for so many calls.
const (
	CallsByArguments = 5
	ByArguments      = "namespaces by clone, sockets but unix ones and those of --metrics, memory to write and execute"
)

// refusedArguments are calls that the agent makes, but not so. Without network it has
// unix sockets alone. None is a call of every day's: what depends on an argument the
// kernel cannot allow without running the filter. So ptrace is not here; and whoever may
// trace writes memory through /proc/PID/mem as well.
func refusedArguments(network bool) []notify.Refusal {
	families := []notify.Range{{Low: unix.AF_UNIX, High: unix.AF_UNIX}}
	if network {
		families = append(families,
			notify.Range{Low: unix.AF_INET, High: unix.AF_INET}, notify.Range{Low: unix.AF_INET6, High: unix.AF_INET6})
	}
	only := func(value uint32) []notify.Range { return []notify.Range{{Low: value, High: value}} }
	refused := func(nr uint32, when notify.Cond) notify.Refusal {
		return notify.Refusal{Nr: nr, When: []notify.Cond{when}, Errno: unix.EPERM}
	}
	const writeExec = unix.PROT_WRITE | unix.PROT_EXEC
	return []notify.Refusal{
		refused(unix.SYS_CLONE, notify.Cond{Arg: 0, Mask: newNamespaces, In: only(0), Not: true}),
		refused(unix.SYS_SOCKET, notify.Cond{Arg: 0, In: families, Not: true}),
		refused(unix.SYS_MMAP, notify.Cond{Arg: 2, Mask: writeExec, In: only(writeExec)}),
		refused(unix.SYS_MPROTECT, notify.Cond{Arg: 2, Mask: unix.PROT_EXEC, In: only(unix.PROT_EXEC)}),
		refused(unix.SYS_PKEY_MPROTECT, notify.Cond{Arg: 2, Mask: unix.PROT_EXEC, In: only(unix.PROT_EXEC)}),
	}
}

// refusals is the list that the filter is made of.
func refusals(network bool) []notify.Refusal {
	list := refusedArguments(network)
	for _, group := range Refused {
		for _, nr := range group.Calls {
			list = append(list, notify.Refusal{Nr: nr, Errno: unix.EPERM})
		}
	}
	return list
}
