package policy

import (
	"cmp"
	"slices"
)

// span is an inclusive range of numbers: signals, codes, values, uids or pids.
type span struct{ low, high int64 }

// spans are what a list of numbers and ranges means: sorted, apart from each other.
type spans []span

func (list spans) has(n int64) bool {
	for _, s := range list {
		if n >= s.low && n <= s.high {
			return true
		}
	}
	return false
}

// within tells whether every number of list is in other.
func (list spans) within(other spans) bool {
	for _, s := range list {
		if !slices.ContainsFunc(other, func(o span) bool { return o.low <= s.low && s.high <= o.high }) {
			return false
		}
	}
	return true
}

// merge sorts the list and joins what touches or overlaps.
func merge(list spans) spans {
	slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.low, b.low) })
	var joined spans
	for _, s := range list {
		if last := len(joined) - 1; last >= 0 && s.low <= joined[last].high+1 {
			joined[last].high = max(joined[last].high, s.high)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
