package policy

import (
	"math"
	"slices"
)

// parties reads what an example says of caller and target.
func (d exampleDecoder) parties(e *example, keys map[string]*node) {
	if n := keys["caller"]; n != nil {
		values, _ := d.object(n, "caller", callerKeys()[:6])
		for k := keyCallerUID; k <= keyCallerGID; k++ {
			d.fact(e, k, values[shortName(k)])
		}
		for k := keyCallerComm; k <= keyCallerCgroup; k++ {
			d.fact(e, k, values[shortName(k)])
		}
	}
	if n := keys["target"]; n != nil {
		values, _ := d.object(n, "target", targetKeys())
		for k := keyTargetPid; k <= keyRelation; k++ {
			d.fact(e, k, values[shortName(k)])
		}
		for k := keyTargetComm; k <= keyTargetCgroup; k++ {
			d.fact(e, k, values[shortName(k)])
		}
	}
	if n := keys["unknown"]; n != nil {
		d.unknown(e, n)
	}
}

// shortName is "uid" of "caller.uid".
func shortName(k key) string {
	name := k.String()
	return name[slices.Index([]byte(name), '.')+1:]
}

func (d exampleDecoder) fact(e *example, k key, n *node) {
	if n == nil {
		return
	}
	e.given |= k.fact()
	f := &e.facts
	switch k {
	case keyCallerUID:
		f.Caller.UID = d.oneID(n, k)
	case keyCallerEUID:
		f.Caller.EUID = d.oneID(n, k)
	case keyCallerGID:
		f.Caller.GID = d.oneID(n, k)
	case keyTargetPid:
		f.TargetPid = int32(d.one(n, k.String(), 1, math.MaxInt32))
	case keyTargetUID:
		f.Target.UID = d.oneID(n, k)
	case keyRelation:
		f.Relations = d.relations(n)
	case keyCallerComm:
		f.Caller.Comm = d.text(n, k)
	case keyCallerExe:
		f.Caller.Exe = d.text(n, k)
	case keyCallerCgroup:
		f.Caller.Cgroup = d.text(n, k)
	case keyTargetComm:
		f.Target.Comm = d.text(n, k)
	case keyTargetExe:
		f.Target.Exe = d.text(n, k)
	case keyTargetCgroup:
		f.Target.Cgroup = d.text(n, k)
	}
}

// relations reads the relations that hold; all others do not, so that an empty
// list says that none does.
func (d exampleDecoder) relations(n *node) Relation {
	if n.kind != list {
		d.fail(n.at, "target.relation: %s is no list: write [...]", n.quoted())
	}
	return Relation(d.bits(n.items, keyRelation, relationNames()))
}

func (d exampleDecoder) text(n *node, k key) []byte {
	if n.kind != text {
		d.fail(n.at, "%v: %s is no text: put it in quotes", k, n.quoted())
	}
	return []byte(n.text)
}

// unknown reads the keys whose facts cannot be had.
func (d exampleDecoder) unknown(e *example, n *node) {
	var names []string
	for k := range keyCount {
		if k.fact() != 0 && k != keyScope {
			names = append(names, k.String())
		}
	}
	for _, item := range d.items(n, "unknown") {
		word, ok := d.word(item, "unknown", names)
		if !ok {
			continue
		}
		for k := range keyCount {
			if k.String() == word {
				if e.given&k.fact() != 0 {
					d.fail(item.at, "unknown: %q is said in the same test", word)
				}
				e.cannot |= k.fact()
			}
		}
	}
}
