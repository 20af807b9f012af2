package policy

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// TestQueryOf has the calls whose registers are easily read wrongly.
func TestQueryOf(t *testing.T) {
	const dirty = 0xdead0000_00000000
	minusOne := uint64(1<<32 - 1)
	for _, c := range []struct {
		name    string
		syscall arch.Syscall
		args    arch.Args
		signal  int32
		scope   Scope
		hasInfo bool
	}{
		{"upper halves", arch.PidfdSendSignal, arch.Args{3 | dirty, 15 | dirty, 0, 0 | dirty}, 15, ScopeByDescriptor, false},
		{"upper half of a pointer", arch.PidfdSendSignal, arch.Args{3, 15, dirty, 0}, 15, ScopeByDescriptor, true},
		{"negative signal", arch.PidfdSendSignal, arch.Args{3, minusOne, 0, 1}, -1, ScopeThread, false},
		{"group over all", arch.PidfdSendSignal, arch.Args{3, 9, 0, 7}, 9, ScopeGroup, false},
		{"process over thread", arch.PidfdSendSignal, arch.Args{3, 9, 0, 3}, 9, ScopeProcess, false},
		{"self", arch.PidfdSendSignal, arch.Args{0xffffd8f0, 9, 0, 0}, 9, ScopeThread, false},
		{"self, whole", arch.PidfdSendSignal, arch.Args{0xffffd8ef | dirty, 9, 0, 0}, 9, ScopeProcess, false},
		{"kill", arch.Kill, arch.Args{1 | dirty, 9, 5}, 9, ScopeProcess, false},
		{"kill own group", arch.Kill, arch.Args{0 | dirty, 9}, 9, ScopeGroup, false},
		{"kill everybody", arch.Kill, arch.Args{minusOne, 9}, 9, ScopeGroup, false},
		{"kill 1<<31", arch.Kill, arch.Args{1 << 31, 9}, 9, ScopeGroup, false},
		{"tkill", arch.Tkill, arch.Args{7, 9}, 9, ScopeThread, false},
		{"tgkill", arch.Tgkill, arch.Args{7, 8, 9}, 9, ScopeThread, false},
		{"rt_sigqueueinfo without siginfo", arch.RtSigqueueinfo, arch.Args{7, 9, 0}, 9, ScopeProcess, true},
		{"rt_tgsigqueueinfo", arch.RtTgsigqueueinfo, arch.Args{7, 8, 9, 4096}, 9, ScopeThread, true},
	} {
		q := QueryOf(c.syscall, arch.AMD64, c.args)
		if q.Signal != c.signal || q.Scope != c.scope || q.HasInfo != c.hasInfo {
			t.Errorf("%s: signal %d, %v, siginfo %v", c.name, q.Signal, q.Scope, q.HasInfo)
		}
	}
}

// TestDenialsAreErrnosThatExist: what a filter returns has 12 bits.
func TestDenialsAreErrnosThatExist(t *testing.T) {
	for i, name := range errnoNames() {
		if e := unix.Errno(i + 1); unix.ErrnoName(e) != "" && unix.ErrnoName(e) != name || e > 4095 {
			t.Errorf("errno %d is called %s", e, name)
		}
	}
}
