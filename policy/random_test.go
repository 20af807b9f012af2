package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// generator writes policies and calls that have something to do with each other: all
// of them take their numbers and names from a few.
type generator struct{ *rand.Rand }

func (g generator) policy() string {
	var text strings.Builder
	text.WriteString("version: 1\n")
	text.WriteString("syscalls: [" + g.some(syscallNames()...) + "]\n")
	text.WriteString("default: " + g.pick("allow", "deny") + "\n")
	if g.IntN(2) == 0 {
		text.WriteString("errno: " + g.pick("EPERM", "EACCES", "ENOSYS") + "\n")
	}
	rules := g.IntN(6)
	if rules > 0 {
		text.WriteString("rules:\n")
	}
	for i := range rules {
		action := g.pick("allow", "deny")
		fmt.Fprintf(&text, "  - name: r%d\n    action: %s\n", i, action)
		if action == "deny" && g.IntN(3) == 0 {
			text.WriteString("    errno: ESRCH\n")
		}
		if match := g.match(); match != "" {
			text.WriteString("    match: {" + match + "}\n")
		}
	}
	return text.String()
}

func (g generator) match() string {
	var keys []string
	add := func(chance int, name string, values ...string) {
		if g.IntN(chance) == 0 {
			keys = append(keys, name+": ["+g.some(values...)+"]")
		}
	}
	add(2, "signals", "0", "SIGKILL", "SIGTERM", "SIGRTMIN+1..SIGRTMAX", "1..20", "64")
	add(3, "scope", scopeNames()...)
	add(3, "codes", `"NULL"`, "SI_QUEUE", "SI_USER", "-6..-2", "5")
	add(5, "values", "0", "7", "-5..5", "1000..2000")
	whole := keys
	keys = nil
	add(8, "uid", "0", "1000", "1000..2000")
	add(8, "euid", "0", "1000..2000")
	add(12, "gid", "0", "5")
	add(12, "exe", "/usr/bin/*", "/bin/sh", `"**/x"`)
	add(12, "comm", "x", `"*"`, "sh?")
	add(12, "cgroup", "/a/**", "/b")
	add(5, "abi", abiNames()...)
	if len(keys) > 0 {
		whole = append(whole, "caller: {"+strings.Join(keys, ", ")+"}")
	}
	keys = nil
	add(8, "uid", "0", "1000", "1000..2000")
	add(12, "exe", "/usr/bin/*", "/bin/sh")
	add(12, "comm", "x", "sh?")
	add(12, "cgroup", "/a/**", "/b")
	add(12, "pid", "1", "100..200")
	add(6, "relation", relationNames()...)
	if len(keys) > 0 {
		whole = append(whole, "target: {"+strings.Join(keys, ", ")+"}")
	}
	return strings.Join(whole, ", ")
}

func (g generator) pick(values ...string) string { return values[g.IntN(len(values))] }

// some is a list of one or more of the values.
func (g generator) some(values ...string) string {
	var list []string
	for _, i := range g.Perm(len(values))[:1+g.IntN(len(values))] {
		list = append(list, values[i])
	}
	return strings.Join(list, ", ")
}

// frame is a call with arguments that matter, and garbage where the kernel does not
// look.
func (g generator) frame() (arch.Syscall, arch.ABI, [6]uint64) {
	s := allSyscalls()[g.IntN(6)]
	abi := arch.ABI(1 + g.IntN(3))
	var raw [6]uint64
	for i := range raw {
		raw[i] = g.Uint64()
	}
	word := func(i int, values ...int64) {
		raw[i] = g.Uint64()<<32 | uint64(uint32(values[g.IntN(len(values))]))
	}
	l := layoutOf(s)
	word(0, 3, 0, -1, -100, selfThread, selfProcess, 1<<31-1, -1<<31)
	word(l.signal, 0, 9, 15, 34, 35, 64, 65, -1, 1<<31)
	if l.info != none && g.IntN(2) == 0 {
		raw[l.info] = 0
		if abi == arch.I386 {
			raw[l.info] = g.Uint64() << 32
		}
	}
	if l.flags != none {
		word(l.flags, 0, 0, 0, 1, 2, 4, 3, 6, 7, 8, -1)
	}
	return s, abi, raw
}

// facts makes up everything that can be asked, some of it not to be had.
func (g generator) facts() *table {
	t := &table{has: Fact(g.Uint32() | g.Uint32() | g.Uint32())}
	f := &t.facts
	f.Code = int32(g.IntN(12) - 7)
	f.Value = int32(g.IntN(12) - 6)
	ids := []uint32{0, 5, 1000, 1500, 3000}
	for _, id := range []*uint32{&f.Caller.UID, &f.Caller.EUID, &f.Caller.GID, &f.Target.UID} {
		*id = ids[g.IntN(len(ids))]
	}
	for _, p := range []*Party{&f.Caller, &f.Target} {
		p.Exe = []byte(g.pick("/usr/bin/x", "/bin/sh", "/opt/y", "/usr/bin/x/y"))
		p.Comm = []byte(g.pick("x", "sh1", "", "longest-name-15"))
		p.Cgroup = []byte(g.pick("/", "/b", "/a/b/c", "/a"))
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
