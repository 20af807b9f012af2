package policy

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Of each rule that did not match the first key that failed is named, and what it had.
func TestReasons(t *testing.T) {
	p, err := Parse("p.yaml", []byte(`version: 1
default: deny
rules:
  - {name: terms, action: allow, match: {signals: [SIGTERM]}}
  - {name: roots, action: allow, match: {target: {uid: [root]}}}
  - {name: kills, action: deny, match: {signals: [SIGKILL]}}
  - {name: more, action: allow, match: {signals: [0]}}
  - {name: most, action: allow, match: {signals: [1]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for sig, want := range map[unix.Signal]string{
		unix.SIGKILL: "not by terms: signals is SIGKILL, wanted SIGTERM; not by roots: target.uid is not to be had",
		unix.SIGUSR1: "not by terms: signals is SIGUSR1, wanted SIGTERM; not by roots: target.uid is not to be had; " +
			"not by kills: signals is SIGUSR1, wanted SIGKILL; nor by 2 more",
	} {
		q := QueryOf(arch.PidfdSendSignal, arch.AMD64, arch.Args{3, uint64(sig)})
		_, steps := p.Explain(&q, unsure{}, Show)
		if got := Reasons(steps); got != want {
			t.Errorf("%v: %q, want %q", sig, got, want)
		}
	}
}
