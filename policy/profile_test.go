package policy

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// TestProfileDeniesOnlyWhatThePolicyDenies is over 30,000 pairs of a random policy and a
// random call: exactly one entry of the profile fits the call, so that no compiler can
// choose wrongly; a denial in it is the policy's, with its errno; and without a note no
// certain denial is missing.
func TestProfileDeniesOnlyWhatThePolicyDenies(t *testing.T) {
	policies, calls := scaled(300), 100
	g := randpolicy.New(7)
	denied, missed := 0, 0
	for range policies {
		text := g.Policy()
		p, err := Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		profile, notes := p.Profile(ProfileOptions{Socket: "/run/x"})
		for range calls {
			s, abi, raw := g.Call()
			if !p.Covers(s) {
				s = p.Syscalls()[0]
			}
			line := evaluate(t, p.Registers(), s, abi, raw)
			entry := entryFor(t, profile, s, abi, raw)
			if t.Failed() {
				t.Fatal(text)
			}
			switch {
			case entry.Action == specs.ActErrno && (line.Then != Deny || uint(line.Errno) != *entry.ErrnoRet):
				t.Fatalf("profile denies %v %v %#x with %d, registers say %+v\n%s", s, abi, raw, *entry.ErrnoRet, line, text)
			case entry.Action == specs.ActErrno:
				denied++
			case line.Then == Deny && len(notes) == 0:
				t.Fatalf("profile leaves %v %v %#x to the agent without a note, registers say %+v\n%s", s, abi, raw, line, text)
			case line.Then == Deny:
				missed++
			}
		}
	}
	t.Logf("%d denied in the profile, %d left to the agent", denied, missed)
	if denied < policies*calls/20 {
		t.Error("the generator is lopsided")
	}
}

func entryFor(t *testing.T, profile *specs.LinuxSeccomp, s arch.Syscall, abi arch.ABI, raw [6]uint64) specs.LinuxSyscall {
	t.Helper()
	var found []specs.LinuxSyscall
	for _, e := range profile.Syscalls {
		for _, name := range e.Names {
			if name == s.String() && fits(e.Args, abi, raw) {
				found = append(found, e)
			}
		}
	}
	if len(found) != 1 {
		t.Errorf("%d entries fit %v %v %#x: %+v", len(found), s, abi, raw, found)
		return specs.LinuxSyscall{}
	}
	return found[0]
}

// fits is how libseccomp compares: all 64 bits, or the low half under a 32-bit ABI.
func fits(args []specs.LinuxSeccompArg, abi arch.ABI, raw [6]uint64) bool {
	for _, a := range args {
		n := raw[a.Index]
		if abi == arch.I386 {
			n = uint64(uint32(n))
		}
		holds := false
		switch a.Op {
		case specs.OpMaskedEqual:
			holds = n&a.Value == a.ValueTwo
		case specs.OpEqualTo:
			holds = n == a.Value
		case specs.OpNotEqual:
			holds = n != a.Value
		}
		if !holds {
			return false
		}
	}
	return true
}
