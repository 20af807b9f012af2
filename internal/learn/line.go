package learn

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Line is what is read of one line of an audit; docs/AUDIT.md has all fields.
type Line struct {
	Syscall string
	ABI     string
	Caller  Party
	Target  *Party
	Args    struct {
		Sig   int32
		Flags uint32
		Pidfd int32
		Info  uint64
		Arg0  json.Number
		Arg1  json.Number
		Arg2  json.Number
	}
	Signal *string
	Info   *struct {
		Code  int32
		Value *json.Number
	}
	Verdict string
	Rule    *string
	Errno   string

	Where string `json:"-"` // FILE:LINE
}

// Party is a caller or a target. What could not be had is null.
type Party struct {
	Pid            *int32
	UID, EUID, GID *uint32
	Comm, Exe      *string
	Cgroup         *string
	Relation       []string // nil: not known
}

// maxLine is longer than any line of an audit.
const maxLine = 1 << 20

// Read takes the lines of a file. What is no line of an audit is an error: a policy that is
// made of half of what happened denies the other half.
func Read(name string, from io.Reader) (lines []Line, err error) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, maxLine)
	n := 1
	for ; scanner.Scan(); n++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		l := Line{Where: fmt.Sprintf("%s:%d", name, n)}
		if why := l.parse(scanner.Bytes()); why != "" {
			return nil, fmt.Errorf("%s: no line of an audit: %s", l.Where, why)
		}
		lines = append(lines, l)
	}
	switch err := scanner.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%s:%d: no line of an audit: it is longer than 1 MiB", name, n)
	case err != nil:
		return nil, err // names the file
	}
	return lines, nil
}

// parse says what is wrong with a line, or "".
func (l *Line) parse(text []byte) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, l); {
	case errors.As(err, &syntax) && int(syntax.Offset) >= len(text):
		return "it is cut short: leave it out if the rest is to do"
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Sprintf("%q is a %s", strings.ToLower(kind.Field), kind.Value)
	case err != nil:
		return "it is no JSON object"
	case !slices.Contains([]string{"allow", "deny", "log", "error"}, l.Verdict):
		return fmt.Sprintf("its verdict is %q", l.Verdict)
	}
	return ""
}

// query is the call as a policy sees it. False: no call that a policy can be about.
func (l *Line) query() (policy.Query, bool) {
	syscalls := policy.Syscalls()
	i := slices.IndexFunc(syscalls, func(s arch.Syscall) bool { return s.String() == l.Syscall })
	if i < 0 {
		return policy.Query{}, false
	}
	number := func(n json.Number) uint64 {
		v, err := n.Int64()
		if err != nil { // an address
			return 1
		}
		return uint64(v)
	}
	a := &l.Args
	args := arch.Args{number(a.Arg0), number(a.Arg1), number(a.Arg2)}
	if syscalls[i] == arch.PidfdSendSignal {
		args = arch.Args{uint64(uint32(a.Pidfd)), uint64(uint32(a.Sig)), a.Info, uint64(a.Flags)}
	}
	q := policy.QueryOf(syscalls[i], abiOf(l.ABI), args)
	return q, true
}

func abiOf(name string) arch.ABI {
	if named, ok := abi.Named(name); ok {
		return named
	}
	return arch.Native
}

// value is the siginfo's, as policies have it.
func (l *Line) value() (int32, bool) {
	if l.Info == nil || l.Info.Value == nil {
		return 0, false
	}
	if v, err := l.Info.Value.Int64(); err == nil {
		return int32(v), true
	}
	v, err := strconv.ParseUint(l.Info.Value.String(), 10, 64)
	return int32(v), err == nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// source hands out what a line says.
type source struct{ line *Line }

// Gather implements policy.Source.
func (s source) Gather(want policy.Fact, relations policy.Relation, q *policy.Query) {
	f := &q.Facts
	f.Asked |= want
	known := policy.Fact(0)
	if q.Scope == policy.ScopeByDescriptor { // a thread's descriptor is rare, and the line does not tell
		q.Scope = policy.ScopeProcess
	}
	known |= policy.FinalScope
	if l := s.line; l.Info != nil {
		f.Code, known = l.Info.Code, known|policy.Code
		if v, ok := l.value(); ok {
			f.Value, known = v, known|policy.Value
		}
	}
	c := &s.line.Caller
	known |= ids(c.UID, &f.Caller.UID, policy.CallerUID) | ids(c.EUID, &f.Caller.EUID, policy.CallerEUID) | ids(c.GID, &f.Caller.GID, policy.CallerGID)
	known |= texts(c, &f.Caller, policy.CallerExe, policy.CallerComm, policy.CallerCgroup)
	if t := s.line.Target; t != nil {
		known |= ids(t.UID, &f.Target.UID, policy.TargetUID)
		known |= texts(t, &f.Target, policy.TargetExe, policy.TargetComm, policy.TargetCgroup)
		if t.Pid != nil {
			f.TargetPid, known = *t.Pid, known|policy.TargetPid
		}
		if t.Relation != nil {
			known |= policy.Related
			f.Relations, f.Unsure = policy.RelationOf(t.Relation)&relations, relations&policy.NotRecorded
		}
	}
	f.Known |= known & want
}

func ids(from, into *uint32, fact policy.Fact) policy.Fact {
	if from == nil {
		return 0
	}
	*into = *from
	return fact
}

func texts(from *Party, into *policy.Party, exe, comm, cgroup policy.Fact) (known policy.Fact) {
	for _, t := range []struct {
		from *string
		into *[]byte
		fact policy.Fact
	}{{from.Exe, &into.Exe, exe}, {from.Comm, &into.Comm, comm}, {from.Cgroup, &into.Cgroup, cgroup}} {
		if text(t.from) != "" {
			*t.into = []byte(*t.from)
			known |= t.fact
		}
	}
	return known
}
