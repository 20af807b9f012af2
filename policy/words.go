package policy

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
)

// signalSyscalls are the calls that send a signal; 424 is the first.
func signalSyscalls() []arch.Syscall {
	return []arch.Syscall{
		arch.PidfdSendSignal, arch.Kill, arch.Tkill, arch.Tgkill, arch.RtSigqueueinfo, arch.RtTgsigqueueinfo,
	}
}

// Syscalls are the calls that a policy can cover: those, and what gets a handle.
func Syscalls() []arch.Syscall { return append(signalSyscalls(), arch.PidfdOpen, arch.PidfdGetfd) }

func syscallNames() []string {
	var names []string
	for _, s := range Syscalls() {
		names = append(names, s.String())
	}
	return names
}

// errnoNames are in the order of the numbers, from 1 on.
func errnoNames() []string {
	var names []string
	for e := unix.Errno(1); e <= unix.EHWPOISON; e++ {
		name := unix.ErrnoName(e)
		if name == "" {
			name = "errno " + strconv.Itoa(int(e)) // 41 and 58 are not in use
		}
		names = append(names, name)
	}
	return names
}

func scopeNames() []string { return []string{"process", "thread", "group"} }

func abiNames() []string { return abi.Names() }

// relationNames are in the order of the bits.
func relationNames() []string {
	return []string{
		"self", "child", "parent", "descendant", "sandbox",
		"same-uid", "same-session", "same-pidns", "nested-pidns", "init",
	}
}

// String implements fmt.Stringer.
func (r Relation) String() string {
	var held []string
	for i, name := range relationNames() {
		if r>>i&1 != 0 {
			held = append(held, name)
		}
	}
	return strings.Join(held, ", ")
}

// signalNumber takes what `kill -l` prints, with or without SIG, and numbers.
func signalNumber(text string) (int64, bool) {
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		n, ok := decimal(text)
		return n, ok && n <= arch.SIGRTMAX
	}
	if i := strings.IndexAny(text, "+-"); i >= 0 {
		if _, ok := decimal(text[i+1:]); !ok {
			return 0, false
		}
	}
	sig, err := arch.ParseSignal(text)
	return int64(sig), err == nil && text == strings.ToUpper(text)
}

// signalNames are the words of signals, not all the sums of real-time signals.
func signalNames() []string {
	names := []string{"SIGRTMAX"}
	for sig := range int32(arch.SIGRTMIN + 1) {
		if name := arch.SignalName(sig); strings.HasPrefix(name, "SIG") {
			names = append(names, name)
		}
	}
	return names
}

// codeNumbers finds the number of each name of an si_code. A name stands for its
// number alone: CLD_EXITED and SEGV_MAPERR are both 1.
func codeNumbers() map[string]int64 {
	numbers := map[string]int64{}
	for sig := range int32(arch.SIGRTMAX + 1) {
		for code := int32(-128); code <= 128; code++ {
			if name := arch.CodeName(sig, code); strings.Contains(name, "_") {
				numbers[name] = int64(code)
			}
		}
	}
	return numbers
}

// RelationOf are the relations with these names; others are left out.
func RelationOf(names []string) (r Relation) {
	for i, name := range relationNames() {
		if slices.Contains(names, name) {
			r |= 1 << i
		}
	}
	return r
}

// NotRecorded are the relations that an audit says nothing of.
const NotRecorded = Sandbox | NestedPidns | Init
