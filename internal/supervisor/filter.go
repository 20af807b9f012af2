package supervisor

import (
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// interception says what a filter is to be made of.
type interception struct {
	plan     Plan
	features kernel.Features
	policy   *policy.Policy
	others   map[shim.Number]shim.Handler
	observed bool // somebody wants to see every call
	watches  bool // those that change whom a caller may signal are to be seen
}

// filter decides in the kernel what needs no supervisor: with nothing to show, and a
// kernel that runs the call by the rules asked for, what registers decide of the policy;
// without one that is every call.
func (s *interception) filter() notify.Filter {
	f := notify.Filter{Syscalls: []arch.Syscall{arch.PidfdSendSignal}, Default: unix.SECCOMP_RET_ALLOW}
	switch {
	case s.policy != nil:
		f.Syscalls = slices.Clone(s.policy.Syscalls())
		f.Rules = s.policed()
		if !slices.Contains(f.Syscalls, arch.PidfdSendSignal) {
			f.Syscalls = append(f.Syscalls, arch.PidfdSendSignal)
			f.Rules = append(f.Rules, s.unpoliced()...)
		}
	default:
		f.Rules = s.unpoliced()
	}
	if s.watches {
		f.Syscalls = append(f.Syscalls, arch.Unshare, arch.Setns, arch.LandlockRestrictSelf)
		for _, r := range watched {
			f.Rules = append(f.Rules, s.intercept(r)...)
		}
	}
	if s.plan.Family {
		for _, call := range []arch.Syscall{arch.PidfdOpen, arch.PidfdGetfd} {
			if !slices.Contains(f.Syscalls, call) {
				f.Syscalls = append(f.Syscalls, call)
			}
		}
		f.Syscalls = append(f.Syscalls, arch.Wait4, arch.Waitid, arch.Clone, arch.Clone3)
		for _, r := range familyCalls {
			f.Rules = append(f.Rules, s.intercept(r)...)
		}
		f.Rules = append(f.Rules, missing...)
	}
	if s.plan.carries() {
		f.Syscalls = append(f.Syscalls, ptrace.Carrier)
		f.Rules = append(f.Rules, s.intercept(carrier)...)
	}
	for _, r := range s.closed() {
		f.Syscalls = append(f.Syscalls, r.Syscall)
		f.Rules = append(f.Rules, ruleOf(r))
	}
	if s.tagged() {
		f.Syscalls = append(f.Syscalls, arch.Prctl)
		for _, r := range filtering {
			f.Rules = append(f.Rules, s.intercept(r)...)
		}
		f.Rules = append(f.Rules, notify.Rule{Syscall: arch.Prctl, Then: unix.SECCOMP_RET_ALLOW})
	}
	f.Others, f.OthersThen = slices.Collect(maps.Keys(s.others)), unix.SECCOMP_RET_USER_NOTIF
	return f
}

// closed is how a program inside could answer its calls itself, whatever the policy says.
func (s *interception) closed() []policy.RegisterRule {
	if s.plan.Backend == BackendPtrace {
		return []policy.RegisterRule{policy.NoListener(), policy.NoFilterTracer()}
	}
	return []policy.RegisterRule{policy.NoListener()}
}

// unpoliced are the rules of pidfd_send_signal without a policy.
func (s *interception) unpoliced() []notify.Rule {
	if s.plan.Unasked && !s.observed {
		return nil
	}
	return s.intercept(notify.Rule{Syscall: arch.PidfdSendSignal})
}

// policed are the policy's rules as far as registers go, in its order. What they allow
// the kernel runs at once if it can, what they deny it refuses, and what they leave open
// is the supervisor's.
func (s *interception) policed() []notify.Rule {
	var rules []notify.Rule
	for _, r := range s.policy.Registers() {
		rule := ruleOf(r)
		switch {
		case s.gives(r.Syscall) && (r.Then != policy.Deny || s.policy.OnlyLogs()):
			rules = append(rules, s.intercept(rule)...)
			continue
		case s.policy.OnlyLogs() && !s.observed:
			rule.Then = unix.SECCOMP_RET_ALLOW
		case s.observed, r.Then == policy.Ask:
			rules = append(rules, s.intercept(rule)...)
			continue
		case r.Then == policy.Deny:
		case s.plan.Unasked || r.Syscall != arch.PidfdSendSignal:
			rule.Then = unix.SECCOMP_RET_ALLOW
		default:
			rules = append(rules, s.intercept(rule)...)
			continue
		}
		rules = append(rules, rule)
	}
	return rules
}

// gives tells of a call that is never the kernel's, because we give its descriptors.
func (s *interception) gives(call arch.Syscall) bool {
	return s.plan.Family && (call == arch.PidfdOpen || call == arch.PidfdGetfd)
}

// ruleOf is a line of a policy that denies, or of which it is still to be said what it does.
func ruleOf(r policy.RegisterRule) notify.Rule {
	rule := notify.Rule{Syscall: r.Syscall, ABI: r.ABI, Then: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)}
	for _, c := range r.When {
		rule.When = append(rule.When, condOf(c))
	}
	return rule
}

func condOf(c policy.Cond) notify.Cond {
	cond := notify.Cond{Arg: c.Arg, Mask: c.Mask, Not: c.Not, Pointer: c.Null}
	for _, r := range c.In {
		cond.In = append(cond.In, notify.Range(r))
	}
	return cond
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

// familyCalls get, or wait by, a process descriptor. Every wait is one: see emulate.Wait.
var familyCalls = []notify.Rule{
	{Syscall: arch.PidfdOpen},
	{Syscall: arch.Wait4, When: []notify.Cond{notOwn(2)}},
	{Syscall: arch.Waitid, When: []notify.Cond{notOwn(3)}},
	{
		Syscall: arch.Clone,
		When:    []notify.Cond{{Arg: 0, Mask: unix.CLONE_PIDFD, In: []notify.Range{{Low: 1, High: ^uint32(0)}}}},
	},
}

// opens is the filter that callers add who have process descriptors: their fdinfo is only read.
func (s *interception) opens() notify.Filter {
	f := notify.Filter{Syscalls: []arch.Syscall{arch.Open, arch.Openat, arch.Seccomp}, Default: unix.SECCOMP_RET_ALLOW}
	f.Rules = append(f.Rules, notify.Rule{
		Syscall: arch.Seccomp, Then: unix.SECCOMP_RET_ERRNO | uint32(family.CoveredAnswer),
		When: []notify.Cond{{Arg: 1, In: []notify.Range{{Low: family.CoveredAsk, High: family.CoveredAsk}}}},
	})
	for _, o := range []struct {
		syscall arch.Syscall
		flags   int
	}{{arch.Open, 1}, {arch.Openat, 2}} {
		reads := notify.Cond{Arg: o.flags, Mask: unix.O_ACCMODE | unix.O_CREAT | unix.O_DIRECTORY | unix.O_PATH, In: []notify.Range{{}}}
		f.Rules = append(f.Rules, s.intercept(notify.Rule{Syscall: o.syscall, When: []notify.Cond{reads}})...)
	}
	return f
}

// notOwn tells waits from those of our own threads, by their options.
func notOwn(arg int) notify.Cond {
	own := uint32(kernel.OwnWait)
	return notify.Cond{Arg: arg, Mask: own, In: []notify.Range{{Low: own, High: own}}, Not: true}
}

// missing are what such a kernel lacks, too, and programs do without.
var missing = []notify.Rule{
	{Syscall: arch.Clone3, Then: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	{Syscall: arch.PidfdGetfd, Then: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
}

// filtering are the calls by which a program adds a filter, which could forge our tags.
var filtering = []notify.Rule{
	{Syscall: arch.Seccomp},
	{
		Syscall: arch.Prctl,
		When:    []notify.Cond{{Arg: 0, In: []notify.Range{{Low: unix.PR_SET_SECCOMP, High: unix.PR_SET_SECCOMP}}}},
	},
}

// tagged tells whether a tracer learns the ABI from the filter alone. It starts a
// process to find out: only for a filter that depends on it.
func (s *interception) tagged() bool {
	return s.plan.Backend == BackendPtrace &&
		(s.features.NoSyscallInfo || errors.Is(kernel.GetSyscallInfo(), errors.ErrUnsupported))
}

// intercept sends a rule's calls to the backend. A tracer before 5.3 learns the ABI
// from the filter alone, so there it is a rule for each.
func (s *interception) intercept(r notify.Rule) []notify.Rule {
	if s.plan.Backend != BackendPtrace {
		r.Then = unix.SECCOMP_RET_USER_NOTIF
		return []notify.Rule{r}
	}
	var rules []notify.Rule
	only := r.ABI
	for _, abi := range arch.ABIs {
		if only != 0 && abi != only {
			continue
		}
		r.ABI, r.Then = abi, unix.SECCOMP_RET_TRACE|uint32(abi)
		rules = append(rules, r)
	}
	return rules
}
