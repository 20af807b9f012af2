package policy

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// sent is a Source of calls whose si_value is that number.
type sent int32

func (s sent) Gather(_ Fact, _ Relation, q *Query) {
	q.Facts.Asked |= Code | Value
	q.Facts.Known |= Code | Value
	q.Facts.Value = int32(s)
}

// The index keeps 64 rules to a word: the deciding one is found in each of them.
func TestManyRules(t *testing.T) {
	const count = 200
	var text strings.Builder
	text.WriteString("version: 1\nrules:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - {name: v%d, action: deny, match: {signals: [SIGTERM], values: [%d]}}\n", i, i)
	}
	text.WriteString("  - {name: usr1, action: deny, match: {signals: [SIGUSR1]}}\n")
	p, err := Parse("p.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	call := func(sig unix.Signal) *Query {
		return &Query{Syscall: arch.PidfdSendSignal, ABI: arch.AMD64, Signal: int32(sig), HasInfo: true}
	}
	for i := range int32(count) {
		if v := p.Decide(call(unix.SIGTERM), sent(i)); v.Rule != fmt.Sprintf("v%d", i) {
			t.Errorf("value %d: decided by %s", i, v.Rule)
		}
	}
	if v := p.Decide(call(unix.SIGTERM), sent(count)); v.Rule != "default" {
		t.Errorf("value %d: decided by %s", count, v.Rule)
	}
	if v, decided := p.Early(call(unix.SIGUSR1)); !decided || v.Rule != "usr1" {
		t.Errorf("SIGUSR1: decided %v, by %q", decided, v.Rule)
	}
}
