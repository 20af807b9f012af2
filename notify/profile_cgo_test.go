//go:build cgo

package notify

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/policy/oci"
	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// TestLibseccompKeepsAProfile has libseccomp compile profiles of random policies and runs
// what comes out beside our own ordered program of the same policy: it must deny nothing
// that ours does not deny, with the same errno, and all that a profile can hold.
func TestLibseccompKeepsAProfile(t *testing.T) {
	const policies, calls = 60, 200
	g := randpolicy.New(11)
	denied := 0
	for range policies {
		text := g.Policy()
		p, err := policy.Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		profile, notes := p.Profile(policy.ProfileOptions{Socket: "/run/agent.sock"})
		program, pfc, err := oci.CompileProfile(profile)
		if err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
		if !strings.Contains(pfc, p.Syscalls()[0].String()) {
			t.Fatalf("libseccomp's reading does not name %v:\n%s", p.Syscalls()[0], pfc)
		}
		checkListeners(t, load(t, program), ebusy)
		theirs, ours := load(t, program), compile(t, ordered(p))
		for range calls {
			s, abi, raw := g.Call()
			if !p.Covers(s) {
				s = p.Syscalls()[0]
			}
			d := seccompData{nr: number(s, abi), arch: x86_64, args: raw}
			if abi == arch.I386 {
				d.arch = x86_32
			}
			them, us := theirs.run(d), ours.run(d)
			if them&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO {
				denied++
			}
			if them == us || them == notif && (us == allow || len(notes) > 0) {
				continue
			}
			t.Fatalf("%v %v %v: libseccomp decides %#x, we %#x\n%s\n%s", s, abi, d, them, us, text, pfc)
		}
	}
	t.Logf("%d calls denied by libseccomp's programs", denied)
	if denied < policies*calls/20 {
		t.Error("the generator is lopsided")
	}
}

// ordered is the policy as our own compiler takes it.
func ordered(p *policy.Policy) Filter {
	f := Filter{Syscalls: p.Syscalls(), Default: allow}
	for _, r := range p.Registers() {
		rule := denial(r)
		switch r.Then {
		case policy.Ask:
			rule.Then = notif
		case policy.Allow:
			rule.Then = allow
		}
		f.Rules = append(f.Rules, rule)
	}
	return f
}

// number is one by which an ABI makes a call.
func number(what arch.Syscall, of arch.ABI) uint32 { return abi.Numbers(what, of)[0] }
