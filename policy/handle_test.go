package policy

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// TestHandleCalls: what gets a handle has no signal, no siginfo, and a scope of its own; "all"
// does not name it.
func TestHandleCalls(t *testing.T) {
	const head = "version: 1\nsyscalls: [pidfd_open, pidfd_getfd]\nrules:\n  - {name: r, action: deny, match: {"
	thread := arch.Args{0, unix.PIDFD_THREAD}
	for _, row := range []struct {
		match  string
		what   arch.Syscall
		args   arch.Args
		denies bool
	}{
		{"signals: [SIGTERM, 0]", arch.PidfdOpen, arch.Args{}, false},
		{"signals: [0..64]", arch.PidfdGetfd, arch.Args{3, 15}, false},
		{"values: [0]", arch.PidfdOpen, arch.Args{}, false},
		{`codes: ["NULL"]`, arch.PidfdOpen, arch.Args{}, true},
		{"codes: [SI_QUEUE]", arch.PidfdGetfd, arch.Args{}, false},
		{"scope: [thread]", arch.PidfdOpen, thread, true},
		{"scope: [thread]", arch.PidfdOpen, arch.Args{}, false},
		{"scope: [process]", arch.PidfdOpen, thread, false},
		{"scope: [process]", arch.PidfdGetfd, arch.Args{}, true},
		{"scope: [group]", arch.PidfdOpen, arch.Args{}, false},
		{"caller: {abi: [amd64]}", arch.PidfdGetfd, arch.Args{}, true},
	} {
		p, err := Parse("p", []byte(head+row.match+"}}\n"))
		if err != nil {
			t.Fatalf("%s: %v", row.match, err)
		}
		q := QueryOf(row.what, arch.AMD64, row.args)
		if v, decided := p.Early(&q); !decided || v.Allow == row.denies {
			t.Errorf("%s, %v %v: decided %v, %+v", row.match, row.what, row.args, decided, v)
		}
		if in := deniedInFilter(p, row.what, row.args); in != row.denies {
			t.Errorf("%s, %v %v: the filter denies: %v", row.match, row.what, row.args, in)
		}
	}
	all, err := Parse("p", []byte("version: 1\nsyscalls: all\n"))
	if err != nil || all.Covers(arch.PidfdOpen) || all.Covers(arch.PidfdGetfd) || !all.Covers(arch.Kill) {
		t.Errorf("all: %v, %v", all.Syscalls(), err)
	}
}

// deniedInFilter runs the lines as a filter does.
func deniedInFilter(p *Policy, what arch.Syscall, args arch.Args) bool {
	for _, line := range p.Registers() {
		if line.Syscall != what || line.ABI != 0 && line.ABI != arch.AMD64 {
			continue
		}
		if all(line.When, arch.AMD64, args) {
			return line.Then == Deny
		}
	}
	return false
}
