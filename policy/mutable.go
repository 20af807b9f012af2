package policy

import (
	"fmt"
	"strings"
)

// Mutable says, one sentence a rule, what a rule asks for that another thread or
// process can change between the decision and the act. Of such a policy the kernel
// must not run the caller's own call again.
func (p *Policy) Mutable() []string {
	if p.OnlyLogs() {
		return nil
	}
	var list []string
	for i := range p.rules {
		r := &p.rules[i]
		if changeable := r.changeable(); len(changeable) > 0 {
			list = append(list, fmt.Sprintf("rule %q asks for %s", r.name, join(changeable, "and")))
		}
	}
	return list
}

// changeable lists the mutable inputs of the rule. Registers are none, and neither are
// the ids of the calling thread: only that thread can change them, and it waits.
func (r *rule) changeable() []string {
	const (
		memory     = Code | Value
		descriptor = FinalScope
		caller     = CallerExe | CallerComm | CallerCgroup
		target     = TargetUID | TargetExe | TargetComm | TargetCgroup | TargetPid | Related
	)
	var list []string
	for _, input := range []struct {
		facts Fact
		who   string
	}{
		{memory, "the siginfo, which is in memory that others can write"},
		{descriptor, "the kind of the descriptor, which another thread can replace"},
		{caller, "what another thread or process can change of the caller"},
		{target, "the target, which the descriptor or the number names only at the time of the act"},
	} {
		if keys := r.keysOf(input.facts); r.facts&input.facts != 0 {
			list = append(list, strings.Join(keys, ", ")+" ("+input.who+")")
		}
	}
	return list
}

// keysOf names the rule's keys that need one of the facts.
func (r *rule) keysOf(facts Fact) []string {
	var keys []string
	for i := range r.checks {
		if c := &r.checks[i]; c.facts()&facts != 0 {
			keys = append(keys, c.key.String())
		}
	}
	return keys
}

// join writes "a, b and c".
func join(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}
