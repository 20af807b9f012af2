package policy

import "github.com/pidfd-shim/pidfd-shim/tests/randpolicy"

// makeFacts makes up everything that can be asked, some of it not to be had.
func makeFacts(g randpolicy.Generator) *table {
	t := &table{has: Fact(g.Uint32() | g.Uint32() | g.Uint32())}
	f := &t.facts
	f.Code = int32(g.IntN(12) - 7)
	f.Value = int32(g.IntN(12) - 6)
	ids := []uint32{0, 5, 1000, 1500, 3000}
	for _, id := range []*uint32{&f.Caller.UID, &f.Caller.EUID, &f.Caller.GID, &f.Target.UID} {
		*id = ids[g.IntN(len(ids))]
	}
	for _, p := range []*Party{&f.Caller, &f.Target} {
		p.Exe = []byte(g.Pick("/usr/bin/x", "/bin/sh", "/opt/y", "/usr/bin/x/y"))
		p.Comm = []byte(g.Pick("x", "sh1", "", "longest-name-15"))
		p.Cgroup = []byte(g.Pick("/", "/b", "/a/b/c", "/a"))
	}
	f.TargetPid = int32(1 + g.IntN(250))
	f.Relations = Relation(g.Uint32())
	f.Unsure = Relation(g.Uint32()&g.Uint32()&g.Uint32()) &^ f.Relations
	t.scope = ScopeProcess + Scope(g.IntN(2))
	return t
}

// table is a Source that knows what it was made with.
type table struct {
	facts Facts
	has   Fact
	scope Scope // behind a descriptor

	asked   Fact
	related Relation
}

func (t *table) Gather(want Fact, relations Relation, q *Query) {
	t.asked |= want
	t.related |= relations
	f := &q.Facts
	held, unsure := f.Relations, f.Unsure
	if want&Related != 0 {
		held, unsure = t.facts.Relations&relations, t.facts.Unsure&relations
	}
	asked, known := f.Asked|want, f.Known|want&t.has
	*f = t.facts
	f.Asked, f.Known, f.Relations, f.Unsure = asked, known, held, unsure
	if want&t.has&FinalScope != 0 && q.Scope == ScopeByDescriptor {
		q.Scope = t.scope
	}
}
