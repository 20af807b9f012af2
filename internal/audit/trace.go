package audit

import (
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Trace is an observer that writes one line a call, as strace does:
//
//	[4711] pidfd_send_signal(3</proc/4712>, SIGTERM, NULL, 0) = 0 (forward: pidfd_send_signal)
//	[4711] pidfd_send_signal(9, SIGTERM, NULL, 0) = -1 EBADF (Bad file descriptor)
//	[4711] pidfd_send_signal(3</proc/4712>, 0, NULL, 0) = ? (continue)
//
// The number in front is the calling thread's, the one behind the descriptor the
// target's, both as the supervisor counts. What stands between is strace's, down to what it
// leaves out; newer straces' words for flags and special descriptors. "?" is a result that
// the kernel gave to a caller that could not be held, or that nobody was left to receive.
type Trace struct {
	writer *Writer

	mu   sync.Mutex // guards below
	line []byte
}

// NewTrace makes the observer. The Writer stays its owner's.
func NewTrace(w *Writer) *Trace { return &Trace{writer: w} }

// Before implements shim.Observer.
func (t *Trace) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (t *Trace) After(c *shim.Call, v shim.Verdict, answered error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = appendTrace(t.line[:0], c, v, answered)
	t.writer.Line(t.line, c.Record.Denied)
}

func appendTrace(dst []byte, c *shim.Call, v shim.Verdict, answered error) []byte {
	nr := c.Decode()
	dst = strconv.AppendInt(append(dst, '['), int64(c.Tid), 10)
	dst = append(append(dst, "] "...), nr.String()...)
	dst = appendTraceArgs(append(dst, '('), c, nr)
	dst = appendResult(append(dst, ") = "...), v, c.Record.Result, answered)
	dst = appendRemark(dst, &c.Record, v, answered)
	return append(dst, '\n')
}

// traceForms has a letter for each argument: f pidfd, p pid, s signal, i siginfo,
// x flags.
var traceForms = map[arch.Syscall]string{
	arch.PidfdSendSignal:  "fsix",
	arch.PidfdOpen:        "pp",
	arch.PidfdGetfd:       "fpp",
	arch.Kill:             "ps",
	arch.Tkill:            "ps",
	arch.Tgkill:           "pps",
	arch.RtSigqueueinfo:   "psi",
	arch.RtTgsigqueueinfo: "ppsi",
}

func appendTraceArgs(dst []byte, c *shim.Call, nr arch.Syscall) []byte {
	form, known := traceForms[nr]
	if !known {
		return strconv.AppendUint(append(dst, "nr="...), uint64(c.Nr), 10)
	}
	for i := range form {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		switch form[i] {
		case 'f':
			dst = appendPidfd(dst, c.Args.Int(i), c.Record.TargetPid)
		case 'p':
			dst = strconv.AppendInt(dst, int64(c.Args.Int(i)), 10)
		case 's':
			dst = appendStraceSignal(dst, c.Args.Int(i))
		case 'i':
			dst = appendTraceInfo(dst, c, c.Args.Pointer(i))
		case 'x':
			dst = appendFlags(dst, c.Args.Uint(i))
		}
	}
	return dst
}

// appendPidfd writes the descriptor and whom it names.
func appendPidfd(dst []byte, fd, target int32) []byte {
	switch fd {
	case -10000:
		return append(dst, "PIDFD_SELF_THREAD"...)
	case -10001:
		return append(dst, "PIDFD_SELF_THREAD_GROUP"...)
	}
	dst = strconv.AppendInt(dst, int64(fd), 10)
	if target <= 0 {
		return dst
	}
	dst = append(dst, "</proc/"...)
	return append(strconv.AppendInt(dst, int64(target), 10), '>')
}

// appendTraceInfo writes the record, or its address where it was not read.
func appendTraceInfo(dst []byte, c *shim.Call, addr uint64) []byte {
	if addr != 0 && c.Record.HasUser {
		return appendRecord(dst, record{&c.Record.User, c.ABI == arch.Native})
	}
	return appendPointer(dst, addr)
}

// appendFlags writes the flags of pidfd_send_signal (<linux/pidfd.h>, 6.9).
func appendFlags(dst []byte, flags uint32) []byte {
	start := len(dst)
	for bit, name := range [...]string{"PIDFD_SIGNAL_THREAD", "PIDFD_SIGNAL_THREAD_GROUP", "PIDFD_SIGNAL_PROCESS_GROUP"} {
		if flags&(1<<bit) == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '|')
		}
		dst = append(dst, name...)
		flags &^= 1 << bit
	}
	switch {
	case len(dst) == start && flags != 0:
		return append(appendHex(dst, uint64(flags)), " /* PIDFD_SIGNAL_??? */"...)
	case len(dst) == start:
		return append(dst, '0')
	case flags != 0:
		return appendHex(append(dst, '|'), uint64(flags))
	}
	return dst
}

func appendResult(dst []byte, v shim.Verdict, r shim.Result, answered error) []byte {
	switch {
	case answered != nil:
		return append(dst, '?')
	case v.Kind == shim.KindReturn:
		r = shim.Result{Known: true, Value: v.Value}
	case v.Kind == shim.KindFail:
		r = shim.Result{Known: true, Value: -int64(v.Errno)}
	}
	switch {
	case !r.Known:
		return append(dst, '?')
	case r.Value >= 0:
		return strconv.AppendInt(dst, r.Value, 10)
	}
	errno := unix.Errno(-r.Value)
	dst = append(append(dst, "-1 "...), errnoName(errno)...)
	dst = append(dst, " ("...)
	return append(appendErrnoText(dst, errno), ')')
}

// appendErrnoText writes what the C library says: Go's words with a capital.
func appendErrnoText(dst []byte, errno unix.Errno) []byte {
	start := len(dst)
	dst = append(dst, errno.Error()...)
	if c := dst[start]; c >= 'a' && c <= 'z' {
		dst[start] -= 'a' - 'A'
	}
	return dst
}

// appendRemark writes how the call was answered, in parentheses, if there is
// anything to say.
func appendRemark(dst []byte, r *shim.Record, v shim.Verdict, answered error) []byte {
	start := len(dst)
	remark := func(text string) {
		if len(dst) == start {
			dst = append(dst, " ("...)
		} else {
			dst = append(dst, ", "...)
		}
		dst = append(dst, text...)
	}
	if answered != nil {
		remark("caller gone")
	}
	if r.Denied {
		remark("denied by ")
		dst = appendString(dst, r.Rule)
		if r.Why != "" {
			remark(r.Why)
		}
	}
	if r.Logged {
		remark("would be denied by ")
		dst = appendString(dst, r.Rule)
	}
	if r.Path != shim.PathNone && (v.Kind != shim.KindFail || r.Sent != shim.SentNone) {
		remark(r.Path.String())
		if r.Sent != shim.SentNone {
			dst = append(append(dst, ": "...), r.Sent.String()...)
		}
	}
	if r.Unsafe {
		remark("unsafe: decided on what may have changed since")
	}
	if r.Duplicate {
		remark("duplicate")
	}
	if len(dst) > start {
		dst = append(dst, ')')
	}
	return dst
}
