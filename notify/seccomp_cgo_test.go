//go:build cgo

package notify

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy/oci"
)

// libseccomp is the other author of this program: same calls, same decisions. What
// differs is an unknown architecture, which it kills and we refuse, and numbers with the
// mark of the other 64-bit ABI, which it lets through.
func TestLibseccompAgrees(t *testing.T) {
	const killThread = 0
	for _, syscalls := range [][]arch.Syscall{ours, {arch.PidfdSendSignal, arch.Kill, arch.Tkill, arch.Tgkill}, all} {
		program, err := oci.CompileByLibseccomp(syscalls)
		if err != nil {
			t.Fatal(err)
		}
		theirs, mine := load(t, program), compile(t, Filter{Syscalls: syscalls, Default: notif})
		for _, a := range architectures {
			for _, nr := range interestingNumbers() {
				d := seccompData{nr: nr, arch: a}
				if a != x86_64 && a != x86_32 {
					theirs.check(d, killThread)
					mine.check(d, enosys)
					continue
				}
				if _, crossed := crossedTable[nr]; crossed && a == x86_64 {
					continue
				}
				if them, us := theirs.run(d), mine.run(d); them != us {
					t.Errorf("%v: libseccomp decides %#x, we %#x", d, them, us)
				}
			}
		}
	}
}
