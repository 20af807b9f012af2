package policy

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// example is one of a file's `tests`: a call with facts, and what is to become of it.
type example struct {
	name   string
	at     position
	query  Query // registers
	facts  Facts // what Gather may hand out
	given  Fact  // what the example says
	cannot Fact  // what the example says cannot be had

	want  Verdict    // Allow and Log
	errno unix.Errno // 0: any
	rule  string     // "": any
}

// Tests is how many examples the file has.
func (p *Policy) Tests() int { return len(p.examples) }

// Test runs the file's examples and returns those that fail.
func (p *Policy) Test() []Error {
	var failures []Error
	for i := range p.examples {
		e := &p.examples[i]
		if what := e.run(p); what != "" {
			failures = append(failures, Error{p.name, e.at.line, e.at.column, e.title(i) + ": " + what})
		}
	}
	return failures
}

func (e *example) title(i int) string {
	if e.name != "" {
		return fmt.Sprintf("test %q", e.name)
	}
	return fmt.Sprintf("test %d", i+1)
}

// run returns what is wrong, or "".
func (e *example) run(p *Policy) string {
	q := e.query
	s := source{example: e}
	v, steps := p.explain(&q, &s, nil)
	if s.missing != 0 {
		rule, key := lackOf(steps, s.missing)
		return fmt.Sprintf("rule %q asks for %s, which the example does not say (unknown: [%s] if it cannot be had)", rule, key, key)
	}
	switch {
	case v.Allow != e.want.Allow || v.Log != e.want.Log:
		return fmt.Sprintf("want %v, but %v by %q", e.want, v, v.Rule)
	case e.rule != "" && e.rule != v.Rule:
		return fmt.Sprintf("want rule %q to decide, but %q does", e.rule, v.Rule)
	case e.errno != 0 && e.errno != v.Errno:
		return fmt.Sprintf("want %s, but rule %q answers %s", unix.ErrnoName(e.errno), v.Rule, unix.ErrnoName(v.Errno))
	}
	return ""
}

// String implements fmt.Stringer.
func (v Verdict) String() string {
	switch {
	case v.Log:
		return "log"
	case v.Allow:
		return "allow"
	}
	return "deny"
}

// lackOf finds the first rule and key that asked for one of the facts.
func lackOf(steps []Step, missing Fact) (rule, key string) {
	for _, step := range steps {
		for _, k := range step.Keys {
			if k.fact&missing != 0 {
				return step.Rule, k.Key
			}
		}
	}
	return "", ""
}

// source hands out what an example says.
type source struct {
	example *example
	missing Fact // asked for, but not said
}

// Gather implements Source.
func (s *source) Gather(want Fact, relations Relation, q *Query) {
	e := s.example
	s.missing |= want &^ (e.given | e.cannot)
	f := e.facts
	f.Asked, f.Known = q.Facts.Asked|want, q.Facts.Known|want&e.given
	f.Relations &= relations
	if want&Related == 0 {
		f.Relations, f.Unsure = q.Facts.Relations, q.Facts.Unsure
	}
	q.Facts = f
}

func testKeys() []string {
	return []string{"name", "call", "caller", "target", "unknown", "expect", "errno", "rule"}
}

func callKeys() []string {
	return []string{"syscall", "signal", "scope", "abi", "code", "value"}
}

// exampleDecoder reads the examples of a policy whose rules have been read.
type exampleDecoder struct {
	decoder
	p *Policy
}

func (d exampleDecoder) examples(n *node) []example {
	if n.kind != list {
		d.fail(n.at, "tests: %s is no list of examples", n.quoted())
		return nil
	}
	all := make([]example, 0, len(n.items))
	for _, item := range n.items {
		all = append(all, d.example(item))
	}
	return all
}

func (d exampleDecoder) example(n *node) example {
	e := example{at: n.at}
	keys, ok := d.object(n, "a test", testKeys())
	if !ok {
		return e
	}
	if name := keys["name"]; name != nil {
		if name.kind != text {
			d.fail(name.at, "name: %s is no text", name.quoted())
		}
		e.name = name.text
	}
	d.lacking(n, "a test", keys, "call", "expect")
	if call := keys["call"]; call != nil {
		d.call(&e, call)
	}
	d.parties(&e, keys)
	d.expectation(&e, keys)
	return e
}

func (d exampleDecoder) expectation(e *example, keys map[string]*node) {
	if expect := keys["expect"]; expect != nil {
		e.want.Allow, e.want.Log = d.action(expect, "expect")
	}
	if errno := keys["errno"]; errno != nil {
		e.errno = d.errno(errno)
		if !e.want.denies() {
			d.fail(errno.at, "errno: %s, but a call that is allowed gets none", errno.quoted())
		}
	}
	if rule := keys["rule"]; rule != nil {
		names := []string{defaultRule}
		for i := range d.p.rules {
			names = append(names, d.p.rules[i].name)
		}
		e.rule, _ = d.word(rule, "rule", names)
	}
}

// call reads the registers of an example. What is not written is the usual: the first
// ABI, no siginfo where the call can do without, the call's narrowest common scope.
func (d exampleDecoder) call(e *example, n *node) {
	keys, ok := d.object(n, "call", callKeys())
	if !ok {
		return
	}
	q := &e.query
	q.ABI, q.Syscall, q.Scope = arch.FirstABI, d.usualSyscall(), ScopeProcess
	if s := keys["syscall"]; s != nil {
		q.Syscall = d.syscall(s)
	}
	if abi := keys["abi"]; abi != nil {
		q.ABI = arch.ABI(d.place(abi, "abi", abiNames())) + arch.FirstABI
	}
	d.signal(q, n, keys)
	d.scope(q, keys["scope"])
	d.siginfo(e, keys["code"], keys["value"])
}

// signal is that of a call that sends one: those have to say which.
func (d exampleDecoder) signal(q *Query, call *node, keys map[string]*node) {
	signal := keys["signal"]
	if layoutOf(q.Syscall).signal == none {
		if q.Signal = NoSignal; signal != nil {
			d.fail(signal.at, "signal: %s, but %v sends none", signal.quoted(), q.Syscall)
		}
		return
	}
	if d.lacking(call, "a call", keys, "signal"); signal == nil {
		return
	}
	s, _ := d.span(signal, numbers{"signal", signalNumber, signalHint})
	if s.low != s.high {
		d.fail(signal.at, "signal: %s is a range: a call has one signal", signal.quoted())
	}
	q.Signal = int32(s.low)
}

// usualSyscall is what an example calls that does not say so.
func (d exampleDecoder) usualSyscall() arch.Syscall {
	if len(d.p.syscalls) == 0 { // an error that has been reported
		return arch.PidfdSendSignal
	}
	return d.p.syscalls[0]
}

func (d exampleDecoder) syscall(n *node) arch.Syscall {
	s := Syscalls()[d.place(n, "syscall", syscallNames())]
	if !d.p.Covers(s) && n.kind == text && n.text == s.String() {
		d.fail(n.at, "syscall: %q is not among the policy's syscalls", n.text)
	}
	return s
}

// place finds a word among known, and takes the first for one that is not.
func (d exampleDecoder) place(n *node, key string, known []string) int {
	word, ok := d.word(n, key, known)
	for i, name := range known {
		if ok && name == word {
			return i
		}
	}
	return 0
}

func (d exampleDecoder) scope(q *Query, n *node) {
	l := layoutOf(q.Syscall)
	if l.fixed != ScopeByDescriptor {
		q.Scope = l.fixed
	}
	if n == nil {
		return
	}
	scope := Scope(d.place(n, "scope", scopeNames())) + ScopeProcess
	if l.fixed != ScopeByDescriptor && scope != l.fixed || q.Syscall == arch.Kill && scope == ScopeThread {
		d.fail(n.at, "scope: %s is not what %v can do", n.quoted(), q.Syscall)
	}
	q.Scope = scope
}

func (d exampleDecoder) siginfo(e *example, code, value *node) {
	q := &e.query
	l := layoutOf(q.Syscall)
	q.HasInfo = l.info != none && l.flags == none
	if code != nil {
		null, codes := d.codes([]*node{code})
		switch {
		case null && q.HasInfo, len(codes) > 0 && l.info == none:
			d.fail(code.at, "code: %s is not what %v can have", code.quoted(), q.Syscall)
		case len(codes) > 0:
			if codes[0].low != codes[0].high {
				d.fail(code.at, "code: %s is a range: a call has one code", code.quoted())
			}
			q.HasInfo, e.facts.Code = true, int32(codes[0].low)
			e.given |= Code
		}
	}
	if value != nil {
		n := d.one(value, "value", math.MinInt32, math.MaxInt32)
		if !q.HasInfo {
			d.fail(value.at, "value: %s, but without a siginfo there is none: give a code too", value.quoted())
		}
		e.facts.Value = int32(n)
		e.given |= Value
	}
}

// one reads a single number.
func (d decoder) one(n *node, key string, low, high int64) int64 {
	s, _ := d.span(n, plain(key, low, high))
	return d.alone(n, key, s)
}

// alone is the number of a range that has no other.
func (d decoder) alone(n *node, key string, s span) int64 {
	if s.low != s.high {
		d.fail(n.at, "%s: %s is a range: give one number", key, n.quoted())
	}
	return s.low
}
