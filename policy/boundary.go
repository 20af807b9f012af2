package policy

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// NoListener is what a filter denies beside every policy: seccomp(2) with
// SECCOMP_FILTER_FLAG_NEW_LISTENER, with the errno that it has while ours is there
// (kernel/seccomp.c, has_duplicate_listener). When a supervisor is gone its listener is
// closed and the slot is free; of two filters that notify the newer one's listener is asked
// (seccomp_run_filters), and could have any call of ours continue.
//
// The operation and the flags are unsigned ints, and prctl(2) takes no flags. Without a
// program nothing is installed: so libseccomp asks which flags there are (EFAULT).
func NoListener() RegisterRule {
	const mode, listener = unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	return RegisterRule{
		Rule: "no listener of its own", Syscall: arch.Seccomp, Then: Deny, Errno: unix.EBUSY,
		When: []Cond{
			{Arg: 0, In: []Range{{mode, mode}}},
			{Arg: 1, Mask: listener, In: []Range{{listener, listener}}},
			{Arg: 2, Null: true, Not: true},
		},
	}
}

// ptraceOldSetOptions is PTRACE_OLDSETOPTIONS of <asm/ptrace-abi.h>, which x86 still has.
const ptraceOldSetOptions = 21

// NoFilterTracer is what the filter of the ptrace backend denies beside it: a tracer with
// PTRACE_O_TRACESECCOMP. A task that ours does not get (CLONE_UNTRACED) can be seized by
// another inside, at whom our RET_TRACE stops, and who lets the call run. EPERM is what a
// task that we trace gives. The clone itself cannot be told: clone3 has its flags in memory.
func NoFilterTracer() RegisterRule {
	return RegisterRule{
		Rule: "no tracer of its own, under --backend ptrace", Syscall: arch.Ptrace, Then: Deny, Errno: unix.EPERM,
		When: []Cond{
			{Arg: 0, In: []Range{
				{ptraceOldSetOptions, ptraceOldSetOptions},
				{unix.PTRACE_SETOPTIONS, unix.PTRACE_SETOPTIONS},
				{unix.PTRACE_SEIZE, unix.PTRACE_SEIZE},
			}},
			{Arg: 3, Mask: unix.PTRACE_O_TRACESECCOMP, In: []Range{{unix.PTRACE_O_TRACESECCOMP, unix.PTRACE_O_TRACESECCOMP}}},
		},
	}
}
