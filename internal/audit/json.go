package audit

import (
	"sync"
	"time"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// JSON is an observer that writes one object a line. The fields, their order and
// their meaning are stable; later versions may add fields at the end of an object.
//
//	time       when the call was answered: RFC 3339, nanoseconds, UTC
//	seq        counts from 1; a gap is a line that was dropped
//	backend    notify, ptrace
//	abi        amd64, i386, x32, unknown
//	entry      syscall, int80, sysenter, unknown
//	syscall    pidfd_send_signal, ..., unknown
//	container  under serve, whose call it was
//	caller     pid, tid; uid (real), comm, exe, pidns (inode number), euid, gid (real), cgroup
//	args       pidfd, sig, info (an address), flags: numbers as the kernel reads them;
//	           args of another call at the width of its ABI, from arg0 on
//	target     null, or pid, start (clock ticks since boot), uid, comm, exe, pidns;
//	           members: of a process group, how many were signalled, else 0; cgroup;
//	           relation: what it is to the caller, in the words of policies
//	signal     SIGTERM, SIGRTMIN+3, or the number
//	info       null, or signo, errno, code; pid and uid where the record has a sender,
//	           value where it has one, else null
//	verdict    deny: by the policy; log: let pass, but the rule would have denied it;
//	           error: the call failed for another reason; allow
//	rule       the rule that decided, default, or null where none was asked
//	path       continue, forward, caller, emulate, none
//	sent       the system call that carried the signal, or none
//	guard      pidfd, tracee, seize, owner, narrowed, none
//	errno      its name; empty for success, and where nobody saw the answer that the
//	           kernel gave to the caller itself
//	duplicate  true for a restart that was answered without sending again
//	latency_us from receipt to answer
//	check      which of the kernel's checks refused, by its number in docs/AUDIT.md; null for
//	           none, for a rule, and where nobody knows
//
// A fact that could not be had is null; exe is empty for kernel threads, zombies and
// whom we may not look at. comm and exe are what the program calls
// itself: no proof of anything. Values above 2^53 are exact here, but not in every
// reader of JSON.
type JSON struct {
	config Config
	facts  gatherer
	notes  sync.Pool
	shared *sequence
}

// sequence are the lines of one file, which several observers may write.
type sequence struct {
	mu   sync.Mutex // guards below, and keeps lines in the order of seq
	seq  uint64
	line []byte

	second int64  // since 1970, of the line before
	date   []byte // how a time in that second begins
}

// appendTime writes RFC 3339 with nanoseconds, in UTC. Precondition: mu is held.
func (s *sequence) appendTime(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != s.second || s.date == nil {
		s.second, s.date = second, t.UTC().AppendFormat(s.date[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, s.date...)
	var nanoseconds [9]byte
	for n, i := t.Nanosecond(), 8; i >= 0; n, i = n/10, i-1 {
		nanoseconds[i] = byte('0' + n%10)
	}
	return append(append(dst, nanoseconds[:]...), 'Z')
}

// Config is what an observer is made with.
type Config struct {
	Writer    *Writer
	Proc      *proc.FS // where facts come from; stays its owner's
	Backend   string
	Container string

	// Fresh is how long a comm and an exe that have been read may be used again: to
	// read them for each call costs more than all the rest. 0 reads each time. Ids
	// and pid namespace are always those of the call.
	Fresh time.Duration

	now func() (time.Time, int64) // the clock; tests have their own
}

// NewJSON makes the observer. Close it after the last call.
func NewJSON(config Config) *JSON {
	if config.now == nil {
		config.now = clock
	}
	return &JSON{config: config, facts: gatherer{fs: config.Proc, fresh: config.Fresh}, shared: &sequence{}}
}

// Of makes the observer of one container among many. It writes to the same file, and
// keeps its own handles so that no container waits for another's; close it by itself.
func (j *JSON) Of(container string) *JSON {
	own := &JSON{config: j.config, facts: gatherer{fs: j.config.Proc, fresh: j.config.Fresh, limit: containerTasks}, shared: j.shared}
	own.config.Container = container
	return own
}

// Close lets go of the handles that facts were read through. The Writer stays open.
func (j *JSON) Close() { j.facts.close() }

// BeforeSend implements shim.Witness: a target may be gone once it has the signal.
func (j *JSON) BeforeSend(c *shim.Call) {
	n := j.notesOf(c)
	n.hasTarget = j.facts.about(c.Record.TargetPid, c.Record.TargetIDs, &n.target)
}

// Before implements shim.Observer: the caller still waits, so that its number is its.
func (j *JSON) Before(c *shim.Call, _ shim.Verdict) {
	n := j.notesOf(c)
	n.hasCaller = j.facts.about(c.Tid, c.Record.CallerIDs, &n.caller)
	if !n.hasTarget {
		n.hasTarget = j.facts.about(c.Record.TargetPid, c.Record.TargetIDs, &n.target)
	}
}

// After implements shim.Observer.
func (j *JSON) After(c *shim.Call, v shim.Verdict, _ error) {
	n := j.notesOf(c)
	j.shared.mu.Lock()
	j.shared.seq++
	j.shared.line = j.appendLine(j.shared.line[:0], c, v, n)
	j.config.Writer.Line(j.shared.line, c.Record.Denied)
	j.shared.mu.Unlock()
	*n = notes{}
	c.Record.Notes = nil
	j.notes.Put(n)
}

// notes are what is known of a call before its answer.
type notes struct {
	caller, target       facts
	hasCaller, hasTarget bool
}

func (j *JSON) notesOf(c *shim.Call) *notes {
	n, ok := c.Record.Notes.(*notes)
	if !ok {
		if n, ok = j.notes.Get().(*notes); !ok {
			n = new(notes)
		}
		c.Record.Notes = n
	}
	return n
}

func (j *JSON) appendLine(dst []byte, c *shim.Call, v shim.Verdict, n *notes) []byte {
	now, monotonic := j.config.now()
	nr := c.What
	dst = j.shared.appendTime(append(dst, `{"time":"`...), now)
	dst = appendUint(dst, `","seq":`, j.shared.seq)
	dst = appendText(dst, `,"backend":`, j.config.Backend)
	dst = appendWord(dst, `,"abi":`, c.ABI.String())
	dst = appendWord(dst, `,"entry":`, entry(c))
	dst = appendWord(dst, `,"syscall":`, nr.String())
	dst = appendText(dst, `,"container":`, j.config.Container)
	dst = appendCaller(dst, c, n)
	dst = appendArgs(dst, c, nr)
	dst = appendTarget(dst, c, n)
	dst = appendSignal(dst, c, nr)
	dst = appendInfo(dst, &c.Record)
	dst = appendOutcome(dst, c, v)
	latency := int64(0)
	if c.Received != 0 {
		latency = max(0, monotonic-c.Received) / int64(time.Microsecond)
	}
	dst = appendInt(dst, `,"latency_us":`, latency)
	if c.Record.Check == 0 {
		dst = appendNull(dst, `,"check":`)
	} else {
		dst = appendUint(dst, `,"check":`, uint64(c.Record.Check))
	}
	return append(dst, '}', '\n')
}

func appendCaller(dst []byte, c *shim.Call, n *notes) []byte {
	dst = append(dst, `,"caller":{`...)
	if n.hasCaller {
		dst = appendInt(dst, `"pid":`, int64(n.caller.tgid))
	} else {
		dst = appendNull(dst, `"pid":`)
	}
	dst = appendInt(dst, `,"tid":`, int64(c.Tid))
	dst = appendWho(dst, &n.caller, n.hasCaller)
	if !n.hasCaller {
		return append(dst, `,"euid":null,"gid":null,"cgroup":null}`...)
	}
	dst = appendUint(dst, `,"euid":`, uint64(n.caller.euid))
	dst = appendUint(dst, `,"gid":`, uint64(n.caller.gid))
	return append(appendText(dst, `,"cgroup":`, n.caller.cgroup), '}')
}

func appendTarget(dst []byte, c *shim.Call, n *notes) []byte {
	if c.Record.TargetPid == 0 {
		return appendNull(dst, `,"target":`)
	}
	dst = append(dst, `,"target":{`...)
	dst = appendInt(dst, `"pid":`, int64(c.Record.TargetPid))
	if n.hasTarget {
		dst = appendUint(dst, `,"start":`, n.target.start)
	} else {
		dst = appendNull(dst, `,"start":`)
	}
	dst = appendWho(dst, &n.target, n.hasTarget)
	dst = appendInt(dst, `,"members":`, int64(c.Record.Members))
	if !n.hasTarget {
		return append(dst, `,"cgroup":null,"relation":null}`...)
	}
	dst = appendText(dst, `,"cgroup":`, n.target.cgroup)
	if !n.hasCaller {
		return append(dst, `,"relation":null}`...)
	}
	return append(related(append(dst, `,"relation":[`...), &n.caller, &n.target), `]}`...)
}

func appendWho(dst []byte, f *facts, known bool) []byte {
	if !known {
		dst = appendNull(dst, `,"uid":`)
		dst = appendNull(dst, `,"comm":`)
		dst = appendNull(dst, `,"exe":`)
		return appendNull(dst, `,"pidns":`)
	}
	dst = appendUint(dst, `,"uid":`, uint64(f.uid))
	dst = appendText(dst, `,"comm":`, f.comm)
	dst = appendText(dst, `,"exe":`, f.exe)
	if f.pidns == 0 {
		return appendNull(dst, `,"pidns":`)
	}
	return appendUint(dst, `,"pidns":`, f.pidns)
}

func appendArgs(dst []byte, c *shim.Call, nr arch.Syscall) []byte {
	dst = append(dst, `,"args":{`...)
	if nr == arch.PidfdSendSignal {
		dst = appendInt(dst, `"pidfd":`, int64(c.Args.Int(0)))
		dst = appendInt(dst, `,"sig":`, int64(c.Args.Int(1)))
		dst = appendUint(dst, `,"info":`, c.Args.Pointer(2))
		dst = appendUint(dst, `,"flags":`, uint64(c.Args.Uint(3)))
		return append(dst, '}')
	}
	form := traceForms[nr]
	if form == "" { // not a call that we know
		form = "iiiiii"
	}
	for i, kind := range form {
		key := [...]string{`"arg0":`, `,"arg1":`, `,"arg2":`, `,"arg3":`, `,"arg4":`, `,"arg5":`}[i]
		if kind == 'i' {
			dst = appendUint(dst, key, c.Args.Pointer(i))
		} else {
			dst = appendInt(dst, key, int64(c.Args.Int(i)))
		}
	}
	return append(dst, '}')
}

func appendSignal(dst []byte, c *shim.Call, nr arch.Syscall) []byte {
	if at := signalArg(nr); at >= 0 {
		return appendWord(dst, `,"signal":`, arch.SignalName(c.Args.Int(at)))
	}
	return appendNull(dst, `,"signal":`)
}

// signalArg is which argument of a call is the signal, -1 for none.
func signalArg(nr arch.Syscall) int {
	switch nr {
	case arch.PidfdSendSignal, arch.Kill, arch.Tkill, arch.RtSigqueueinfo:
		return 1
	case arch.Tgkill, arch.RtTgsigqueueinfo:
		return 2
	}
	return -1
}

func appendInfo(dst []byte, r *shim.Record) []byte {
	if !r.HasSiginfo {
		return appendNull(dst, `,"info":`)
	}
	s := &r.Siginfo
	dst = append(dst, `,"info":{`...)
	dst = appendInt(dst, `"signo":`, int64(s.Signo()))
	dst = appendInt(dst, `,"errno":`, int64(s.Errno()))
	dst = appendInt(dst, `,"code":`, int64(s.Code()))
	if s.Layout().HasSender() {
		dst = appendInt(dst, `,"pid":`, int64(s.Pid()))
		dst = appendUint(dst, `,"uid":`, uint64(s.UID()))
	} else {
		dst = appendNull(appendNull(dst, `,"pid":`), `,"uid":`)
	}
	switch value := s.Value(); {
	case s.Layout() != arch.SIL_RT && s.Layout() != arch.SIL_TIMER:
		dst = appendNull(dst, `,"value":`)
	case value>>32 == 0: // as senders of an int fill it
		dst = appendInt(dst, `,"value":`, int64(int32(value)))
	default:
		dst = appendUint(dst, `,"value":`, value)
	}
	return append(dst, '}')
}

func clock() (time.Time, int64) { return time.Now(), shim.Monotonic() }
