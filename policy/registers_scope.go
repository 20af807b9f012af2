package policy

import (
	"cmp"
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// scopeTerms are the conditions under which a call has one of the check's scopes.
func (c *check) scopeTerms(s arch.Syscall, l layout, anyway bool) []term {
	switch {
	case l.flags != none:
		return c.flagTerms(l.flags, anyway)
	case s == arch.Kill:
		return c.killTerms()
	case s == arch.PidfdOpen:
		return c.openTerms()
	case c.scopes>>l.fixed&1 != 0:
		return []term{{}}
	}
	return nil
}

func (c *check) killTerms() []term {
	positive := Cond{Arg: 0, In: []Range{{1, math.MaxInt32}}}
	switch c.scopes & (bitProcess | bitGroup) {
	case bitProcess | bitGroup:
		return []term{{}}
	case bitGroup:
		positive.Not = true
	case 0:
		return nil
	}
	return []term{{when: []Cond{positive}}}
}

func (c *check) openTerms() []term {
	thread := Cond{Arg: 1, Mask: unix.PIDFD_THREAD, In: []Range{{unix.PIDFD_THREAD, unix.PIDFD_THREAD}}}
	switch c.scopes & (bitProcess | bitThread) {
	case bitProcess | bitThread:
		return []term{{}}
	case bitProcess:
		thread.Not = true
	case 0:
		return nil
	}
	return []term{{when: []Cond{thread}}}
}

// flagTerms are for pidfd_send_signal, as scopeOf reads it.
func (c *check) flagTerms(arg int, anyway bool) []term {
	flags := func(mask, value uint32) Cond {
		return Cond{Arg: arg, Mask: mask, In: []Range{{value, value}}}
	}
	var terms []term
	switch c.scopes & (bitProcess | bitThread) {
	case bitProcess | bitThread:
		if c.scopes&bitGroup != 0 {
			return []term{{}}
		}
		return []term{{when: []Cond{flags(flagGroup, 0)}}}
	case bitProcess:
		terms = append(terms, term{when: []Cond{flags(flagGroup|flagProcess, flagProcess)}})
		terms = append(terms, descriptorTerms(flags(scopeFlags, 0), selfProcess, selfThread, anyway)...)
	case bitThread:
		terms = append(terms, term{when: []Cond{flags(scopeFlags, flagThread)}})
		terms = append(terms, descriptorTerms(flags(scopeFlags, 0), selfThread, selfProcess, anyway)...)
	}
	if c.scopes&bitGroup != 0 {
		terms = append(terms, term{when: []Cond{flags(flagGroup, flagGroup)}})
	}
	return terms
}

// descriptorTerms are for calls whose flags leave the scope to the descriptor: self
// stands for the wanted scope, other for the other one, any other may be either.
func descriptorTerms(noFlags Cond, self, other int32, anyway bool) []term {
	fd := func(not bool, numbers ...int32) Cond {
		c := Cond{Arg: 0, Not: not}
		for _, n := range numbers {
			c.In = append(c.In, Range{uint32(n), uint32(n)})
		}
		slices.SortFunc(c.In, func(a, b Range) int { return cmp.Compare(a.Low, b.Low) })
		return c
	}
	if anyway {
		return []term{{when: []Cond{noFlags, fd(true, other)}, asks: []key{keyScope}}}
	}
	return []term{
		{when: []Cond{noFlags, fd(false, self)}},
		{when: []Cond{noFlags, fd(true, self, other)}, asks: []key{keyScope}},
	}
}
