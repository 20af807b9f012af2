package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// line is what the page needs of one line of an audit; docs/AUDIT.md has all fields.
type line struct {
	Time      string  `json:"time"`
	Seq       uint64  `json:"seq"`
	Syscall   string  `json:"syscall"`
	Container string  `json:"container"`
	Caller    *party  `json:"caller"`
	Target    *party  `json:"target"`
	Signal    *string `json:"signal"`
	Verdict   string  `json:"verdict"`
	Rule      *string `json:"rule"`
	Path      string  `json:"path"`
	Guard     string  `json:"guard"`
	Errno     string  `json:"errno"`
	Latency   int64   `json:"latency_us"`
	Args      struct {
		Pidfd *int64      `json:"pidfd"`
		Arg0  json.Number `json:"arg0"`
	} `json:"args"`

	at time.Time
}

// party is a caller or a target. What could not be had is null.
type party struct {
	Pid     *int64  `json:"pid"`
	Tid     *int64  `json:"tid"`
	Comm    *string `json:"comm"`
	Exe     *string `json:"exe"`
	Members int64   `json:"members"`
}

// parseLine reads a line and makes its texts fit to keep and to look at.
func parseLine(text []byte) (*line, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("it is empty")
	}
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, explainJSON(err)
	}
	at, err := time.Parse(time.RFC3339Nano, l.Time)
	if err != nil {
		return nil, fmt.Errorf("time: %.40q is no time", l.Time)
	}
	l.at = at.UTC()
	switch l.Verdict {
	case "allow", "deny", "log", "error":
	default:
		return nil, fmt.Errorf("verdict: %.40q is neither allow, deny, log nor error", l.Verdict)
	}
	if l.Caller == nil {
		return nil, errors.New("caller: there is none")
	}
	l.clean()
	return &l, nil
}

func (l *line) clean() {
	l.Time = l.at.Format("2006-01-02 15:04:05.000000")
	for _, text := range []*string{&l.Syscall, &l.Container, &l.Path, &l.Guard, &l.Errno, l.Signal, l.Rule, l.Caller.Comm} {
		clean(text, maxName)
	}
	clean(l.Caller.Exe, maxPath)
	if l.Target != nil {
		clean(l.Target.Comm, maxName)
		clean(l.Target.Exe, maxPath)
	}
}

// targetComm is the same without a process's number.
func (l *line) targetComm() string {
	switch {
	case l.Target != nil:
		return l.Target.comm()
	case l.Args.Pidfd != nil:
		return fmt.Sprintf("descriptor %d", *l.Args.Pidfd)
	}
	return l.target()
}

// target is how whom the call was for is called on the page. What is decided by
// registers alone is not looked up: then it is what the caller wrote there.
func (l *line) target() string {
	switch {
	case l.Target != nil:
		return l.Target.name()
	case l.Args.Pidfd != nil:
		return fmt.Sprintf("descriptor %d of %s", *l.Args.Pidfd, l.Caller.name())
	case l.Args.Arg0 != "":
		return fmt.Sprintf("number %d (not looked up)", pidOf(l.Args.Arg0))
	}
	return "(not known)"
}

// pidOf reads a number as the kernel does; files of earlier versions have all 64 bits of it.
func pidOf(text json.Number) int32 {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return int32(n)
	}
	n, _ := strconv.ParseUint(string(text), 10, 64)
	return int32(uint32(n))
}

// name is how a process is called on the page: comm[pid].
func (p *party) name() string {
	comm, number := "?", "?"
	if p.Comm != nil {
		comm = *p.Comm
	}
	switch {
	case p.Pid != nil:
		number = strconv.FormatInt(*p.Pid, 10)
	case p.Tid != nil:
		number = "thread " + strconv.FormatInt(*p.Tid, 10)
	}
	name := comm + "[" + number + "]"
	if p.Members > 0 {
		name += " and its group"
	}
	return name
}

func (p *party) comm() string {
	if p == nil || p.Comm == nil {
		return "?"
	}
	return *p.Comm
}

func (p *party) exe() string {
	if p == nil {
		return ""
	}
	return or(p.Exe, "")
}

func or(text *string, otherwise string) string {
	if text == nil || *text == "" {
		return otherwise
	}
	return *text
}

// explainJSON says what is wrong in the words of a reader of the file.
func explainJSON(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s: a JSON %s is not what belongs there", kind.Field, kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("a JSON %s is no line of an audit", kind.Value)
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON, from byte %d on: %w", syntax.Offset, err)
	}
	return fmt.Errorf("it is not JSON: %w", err)
}
