package session

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/notify"
)

// filter decides in the kernel what needs no supervisor: with nothing to deny, nothing
// to show, and a kernel that runs the call by the rules asked for, that is every call.
func (s *Session) filter() notify.Filter {
	f := notify.Filter{Syscalls: []arch.Syscall{arch.PidfdSendSignal}, Default: unix.SECCOMP_RET_ALLOW}
	if !s.Plan.Unasked || s.Observer != nil {
		f.Rules = s.intercept(notify.Rule{Syscall: arch.PidfdSendSignal})
	}
	if s.watch != nil {
		f.Syscalls = append(f.Syscalls, arch.Unshare, arch.Setns, arch.LandlockRestrictSelf)
		for _, r := range watched {
			f.Rules = append(f.Rules, s.intercept(r)...)
		}
	}
	if s.tagged() {
		f.Syscalls = append(f.Syscalls, arch.Seccomp, arch.Prctl)
		for _, r := range filtering {
			f.Rules = append(f.Rules, s.intercept(r)...)
		}
		f.Rules = append(f.Rules, notify.Rule{Syscall: arch.Prctl, Then: unix.SECCOMP_RET_ALLOW})
	}
	return f
}

// watched are the calls that change whom a caller may signal: a new user namespace
// (unshare(CLONE_NEWUSER), setns to that type or to any) and a Landlock domain.
var watched = []notify.Rule{
	{
		Syscall: arch.Unshare,
		When:    []notify.Cond{{Arg: 0, Mask: unix.CLONE_NEWUSER, In: []notify.Range{{Low: 1, High: ^uint32(0)}}}},
	},
	{
		Syscall: arch.Setns,
		When:    []notify.Cond{{Arg: 1, In: []notify.Range{{Low: 0, High: 0}}}},
	},
	{
		Syscall: arch.Setns,
		When:    []notify.Cond{{Arg: 1, Mask: unix.CLONE_NEWUSER, In: []notify.Range{{Low: 1, High: ^uint32(0)}}}},
	},
	{Syscall: arch.LandlockRestrictSelf},
}

// filtering are the calls by which a program adds a filter, which could forge our tags.
var filtering = []notify.Rule{
	{Syscall: arch.Seccomp},
	{
		Syscall: arch.Prctl,
		When:    []notify.Cond{{Arg: 0, In: []notify.Range{{Low: unix.PR_SET_SECCOMP, High: unix.PR_SET_SECCOMP}}}},
	},
}

// intercept sends a rule's calls to the backend. A tracer before 5.3 learns the ABI
// from the filter alone, so there it is a rule for each.
func (s *Session) intercept(r notify.Rule) []notify.Rule {
	if s.Plan.Backend != BackendPtrace {
		r.Then = unix.SECCOMP_RET_USER_NOTIF
		return []notify.Rule{r}
	}
	var rules []notify.Rule
	for _, abi := range []arch.ABI{arch.AMD64, arch.I386, arch.X32} {
		r.ABI, r.Then = abi, unix.SECCOMP_RET_TRACE|uint32(abi)
		rules = append(rules, r)
	}
	return rules
}
