package policy

// check is one key of a rule's `match` with what it asks for. Of the fields those are
// set that the key has a use for.
type check struct {
	key       key
	fact      Fact  // the key's: what has to be known beyond registers
	spans     spans // numbers
	null      bool  // codes: "NULL" too
	scopes    uint8 // bits by Scope
	abis      uint8 // bits by arch.ABI
	relations Relation
	globs     []glob

	wanted string // as written, for explain
}

// answer is what can be said of a check or a rule.
type answer uint8

const (
	no answer = iota
	yes
	unknown // the fact is not there: to be gathered, or it cannot be had
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

const (
	bitProcess = 1 << ScopeProcess
	bitThread  = 1 << ScopeThread
	bitGroup   = 1 << ScopeGroup
)

// early answers by what registers say.
func (c *check) early(q *Query) answer {
	switch c.key {
	case keySignals:
		return answerOf(c.spans.has(int64(q.Signal)))
	case keyABI:
		return answerOf(c.abis>>q.ABI&1 != 0)
	case keyScope:
		return c.earlyScope(q.Scope)
	case keyCodes:
		if !q.HasInfo {
			return answerOf(c.null)
		}
		if len(c.spans) == 0 {
			return no
		}
	case keyValues:
		if !q.HasInfo {
			return no
		}
	}
	return unknown
}

// earlyScope knows that a descriptor may mean a thread or a process, never a group.
func (c *check) earlyScope(s Scope) answer {
	const either = bitProcess | bitThread
	switch {
	case s != ScopeByDescriptor:
		return answerOf(c.scopes>>s&1 != 0)
	case c.scopes&either == either:
		return yes
	case c.scopes&either == 0:
		return no
	}
	return unknown
}

// late answers by the gathered fact.
//
// Precondition: early does not know, and the key's fact has been asked for.
func (c *check) late(q *Query) answer {
	f := &q.Facts
	if f.Known&c.fact == 0 {
		return unknown
	}
	switch c.key {
	case keyScope:
		return c.earlyScope(q.Scope)
	case keyCodes:
		return answerOf(c.spans.has(int64(f.Code)))
	case keyValues:
		return answerOf(c.spans.has(int64(f.Value)))
	case keyCallerUID:
		return answerOf(c.spans.has(int64(f.Caller.UID)))
	case keyCallerEUID:
		return answerOf(c.spans.has(int64(f.Caller.EUID)))
	case keyCallerGID:
		return answerOf(c.spans.has(int64(f.Caller.GID)))
	case keyTargetPid:
		return answerOf(c.spans.has(int64(f.TargetPid)))
	case keyTargetUID:
		return answerOf(c.spans.has(int64(f.Target.UID)))
	case keyRelation:
		return c.related(f)
	case keyCallerComm:
		return c.matches(f.Caller.Comm)
	case keyCallerExe:
		return c.matches(f.Caller.Exe)
	case keyCallerCgroup:
		return c.matches(f.Caller.Cgroup)
	case keyTargetComm:
		return c.matches(f.Target.Comm)
	case keyTargetExe:
		return c.matches(f.Target.Exe)
	case keyTargetCgroup:
		return c.matches(f.Target.Cgroup)
	}
	return unknown
}

func (c *check) related(f *Facts) answer {
	switch {
	case f.Relations&c.relations != 0:
		return yes
	case f.Unsure&c.relations != 0:
		return unknown
	}
	return no
}

func (c *check) matches(text []byte) answer {
	for i := range c.globs {
		if c.globs[i].match(text) {
			return yes
		}
	}
	return no
}

// facts is what the check may need beyond registers.
func (c *check) facts() Fact {
	either := uint8(bitProcess | bitThread)
	switch {
	case c.key == keyCodes && len(c.spans) == 0:
		return 0 // only "NULL": the register says it
	case c.key == keyScope && (c.scopes&either == either || c.scopes&either == 0):
		return 0
	}
	return c.fact
}
