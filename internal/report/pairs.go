package report

import (
	"cmp"
	"slices"
	"strings"
)

// pairs count who signalled whom.
type pairs struct {
	known  map[pair]*counts
	others counts // of pairs that came after the bound
}

type pair struct{ container, caller, target string }

// The bounds of pairs. Those that begin with a denial have room of their own, so that
// many harmless calls cannot hide one.
const (
	maxPairs       = 4000
	maxDeniedPairs = 5000
)

func (p *pairs) add(l *line) {
	if p.known == nil {
		p.known = make(map[pair]*counts)
	}
	c := countsOf(l.Verdict)
	key := pair{l.Container, l.Caller.name(), l.target()}
	limit := maxPairs
	if c.Deny > 0 {
		limit = maxDeniedPairs
	}
	at := p.known[key]
	switch {
	case at != nil:
	case len(p.known) < limit:
		at = new(counts)
		p.known[key] = at
	default:
		at = &p.others
	}
	at.add(c)
}

// link is an edge before it is drawn.
type link struct {
	from, to string
	counts
}

// links are the pairs with denials first, then those with most calls. If there are
// more callers than fit and they are in containers, a container is one caller; else processes
// of one name are one.
func (p *pairs) links() []link {
	callers, targets, containers := map[[2]string]bool{}, map[string]bool{}, false
	for key := range p.known {
		callers[[2]string{key.container, key.caller}] = true
		targets[key.target] = true
		containers = containers || key.container != ""
	}
	byContainer := containers && len(callers) > maxNodes
	sum := map[[2]string]counts{}
	for key, c := range p.known {
		from, to := named(key.caller, len(callers)), named(key.target, len(targets))
		switch {
		case byContainer && key.container != "":
			from = "container " + key.container
		case key.container != "":
			from = key.container + ": " + from
		}
		total := sum[[2]string{from, to}]
		total.add(*c)
		sum[[2]string{from, to}] = total
	}
	return sortLinks(sum)
}

// named leaves the pid of comm[pid] out where there are more processes than fit: one program's
// are one then.
func named(process string, processes int) string {
	if at := strings.LastIndexByte(process, '['); at > 0 && processes > maxNodes {
		return process[:at]
	}
	return process
}

func sortLinks(sum map[[2]string]counts) []link {
	var list []link
	for ends, c := range sum {
		list = append(list, link{ends[0], ends[1], c})
	}
	slices.SortFunc(list, func(a, b link) int {
		return cmp.Or(cmp.Compare(b.Deny, a.Deny), cmp.Compare(b.total(), a.total()), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return list
}
