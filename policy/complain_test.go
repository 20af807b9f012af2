package policy

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// unsure is a source that has no fact.
type unsure struct{}

func (unsure) Gather(want Fact, _ Relation, q *Query) { q.Facts.Asked |= want }

const logging = `version: 1
errno: EACCES
rules:
  - {name: kills, action: log, errno: EPERM, match: {signals: [SIGKILL]}}
  - {name: terms, action: deny, match: {signals: [SIGTERM]}}
  - {name: roots, action: log, match: {signals: [SIGHUP], target: {uid: [0]}}}
`

// What is logged is allowed, by registers alone too, and has the errno that it would get; a
// complaining policy does so for each denial, and one that only logs asks nothing of how
// calls are answered.
func TestLogging(t *testing.T) {
	for _, row := range []struct {
		mode   string
		signal unix.Signal
		want   Verdict
	}{
		{"enforce", unix.SIGKILL, Verdict{Allow: true, Log: true, Errno: unix.EPERM, Rule: "kills"}},
		{"enforce", unix.SIGTERM, Verdict{Errno: unix.EACCES, Rule: "terms"}},
		{"enforce", unix.SIGHUP, Verdict{Allow: true, Log: true, Errno: unix.EACCES, Rule: "roots"}}, // its uid cannot be had
		{"enforce", unix.SIGUSR1, Verdict{Allow: true, Rule: "default"}},
		{"complain", unix.SIGTERM, Verdict{Allow: true, Log: true, Errno: unix.EACCES, Rule: "terms"}},
		{"complain", unix.SIGUSR1, Verdict{Allow: true, Rule: "default"}},
	} {
		p, err := Parse("p.yaml", []byte(logging+"mode: "+row.mode+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		q := QueryOf(arch.PidfdSendSignal, arch.AMD64, arch.Args{3, uint64(row.signal)})
		if got := p.Decide(&q, unsure{}); got != row.want {
			t.Errorf("%s, %v: %+v, want %+v", row.mode, row.signal, got, row.want)
		}
		complains := row.mode == "complain"
		if p.OnlyLogs() != complains || p.Denies() == complains || (len(p.Mutable()) == 0) != complains {
			t.Errorf("%s: only logs %v, denies %v, mutable %v", row.mode, p.OnlyLogs(), p.Denies(), p.Mutable())
		}
		for _, line := range p.Registers() {
			if line.Then == Deny && complains {
				t.Errorf("%s: the filter denies: %+v", row.mode, line)
			}
		}
	}
}
