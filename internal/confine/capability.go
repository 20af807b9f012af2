package confine

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Capability is one that the agent has a use for.
type Capability struct {
	Number  int
	Why     string // what it is for
	Without string // what does not work where it cannot be had
	AtStart bool   // given up before the first call is answered
}

// Capabilities are all that the agent needs of root's. The systemd unit and the
// Kubernetes manifest give it no others (tests compare them), and each is shown to be
// needed by tests/agent_privilege_test.go.
//
// Not among them: CAP_SETUID and CAP_SETGID, because nothing is done under another's ids:
// the kernel's rule is applied to what the caller is, or the caller itself sends.
var Capabilities = []Capability{
	{
		Number:  unix.CAP_KILL,
		Why:     "sends signals to processes of every uid",
		Without: "signals to processes of other uids are not sent",
	},
	{
		Number:  unix.CAP_SYS_PTRACE,
		Why:     "takes descriptors and memory of callers, holds callers and targets, looks at their namespaces",
		Without: "calls of processes with another uid or with more rights get ENOSYS",
	},
	{
		Number:  unix.CAP_DAC_READ_SEARCH,
		Why:     "opens the /proc directories of other uids, and policy files that only their owner may read",
		Without: "calls of processes with another uid get ENOSYS where their /proc directory is asked for",
	},
	{
		Number:  unix.CAP_SYS_ADMIN,
		Why:     "mounts a procfs that nobody else can mount over; given up after that",
		Without: "/proc is used as it is mounted: who may mount over it can have calls refused",
		AtStart: true,
	},
}

// kept is the set that a confined process has: those that are needed for good.
func kept() uint64 {
	var set uint64
	for _, c := range Capabilities {
		if !c.AtStart {
			set |= 1 << c.Number
		}
	}
	return set
}

// Name spells it as capabilities(7) does.
func (c Capability) Name() string { return name(c.Number) }

func name(number int) string {
	if number < len(names) {
		return "CAP_" + names[number]
	}
	return "CAP_" + strconv.Itoa(number)
}

// Names lists a set.
func Names(set uint64) []string {
	found := []string{}
	for number := range 64 {
		if set>>number&1 != 0 {
			found = append(found, name(number))
		}
	}
	return found
}

// names in the order of <linux/capability.h>.
var names = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
	SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
	SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
	WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)
