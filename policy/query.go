package policy

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Query is one call as a policy sees it. What registers say is set by whoever asks;
// facts that need the descriptor, memory or another process come from the Source, and
// only those that a rule asks for.
type Query struct {
	Syscall arch.Syscall
	ABI     arch.ABI
	Signal  int32 // of the register, never of the siginfo
	Scope   Scope // ScopeByDescriptor until the descriptor has been looked at
	HasInfo bool  // a siginfo was given; without one the code is "NULL"

	Facts Facts
}

// Scope is whom of the target a signal goes to.
type Scope uint8

// The scopes of `match: scope`.
const (
	ScopeByDescriptor Scope = iota // flags 0: a thread's descriptor means that thread
	ScopeProcess
	ScopeThread
	ScopeGroup
)

// Verdict is what a policy says of a call.
type Verdict struct {
	Allow bool
	Log   bool       // allowed, but to be written down as what would be denied
	Errno unix.Errno // of a denial; of Log, the one that there would be
	Rule  string     // the name of the deciding rule, or "default"
}

// Fact is a set of facts that registers do not tell.
type Fact uint32

// The facts. Related is the relation between caller and target, all of Relations.
const (
	Code Fact = 1 << iota // si_code, of a call that has a siginfo
	Value
	FinalScope // replaces ScopeByDescriptor
	CallerUID
	CallerEUID
	CallerGID
	CallerExe
	CallerComm
	CallerCgroup
	TargetUID
	TargetExe
	TargetComm
	TargetCgroup
	TargetPid
	Related
)

// Facts are what is known of a call besides its registers. Texts belong to the Source
// and hold until its next Gather.
type Facts struct {
	Asked Fact // gathered, or tried to
	Known Fact // of those, had

	Code  int32
	Value int32

	Caller, Target Party
	TargetPid      int32 // as the supervisor numbers it

	Relations Relation // those that hold, of those that were asked for
	Unsure    Relation // those of which it cannot be told
}

// Party is what is known of a caller or a target.
type Party struct {
	UID, EUID, GID    uint32
	Exe, Comm, Cgroup []byte
}

// Relation is a set of relations between a caller and a target.
type Relation uint16

// The relations, as docs/POLICY.md defines them.
const (
	Self Relation = 1 << iota
	Child
	Parent
	Descendant
	Sandbox
	SameUID
	SameSession
	SamePidns
	NestedPidns
	Init
)

// Source gathers facts when a rule asks for them: of live processes, or of an example
// in a policy file.
type Source interface {
	// Gather sets the wanted facts in q.Facts, adds them to Asked, and to Known those
	// that could be had. relations says which of Related are wanted.
	Gather(want Fact, relations Relation, q *Query)
}
