package audit

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

func appendOutcome(dst []byte, c *shim.Call, v shim.Verdict) []byte {
	r := &c.Record
	verdict, number := verdictOf(r, v)
	errno := ""
	if number != 0 {
		errno = errnoName(number)
	}
	dst = appendWord(dst, `,"verdict":`, verdict)
	if r.Rule == "" {
		dst = appendNull(dst, `,"rule":`)
	} else {
		dst = appendText(dst, `,"rule":`, r.Rule)
	}
	dst = appendWord(dst, `,"path":`, r.Path.String())
	dst = appendWord(dst, `,"sent":`, r.Sent.String())
	dst = appendWord(dst, `,"guard":`, r.Guard.String())
	dst = appendWord(dst, `,"errno":`, errno)
	return appendBool(dst, `,"duplicate":`, r.Duplicate)
}

// verdictOf is what became of a call, and the errno that its caller got, if it is known.
func verdictOf(r *shim.Record, v shim.Verdict) (verdict string, errno unix.Errno) {
	verdict = "allow"
	switch {
	case v.Kind == shim.KindFail:
		verdict, errno = "error", v.Errno
	case r.Result.Known && r.Result.Value < 0:
		verdict, errno = "error", unix.Errno(-r.Result.Value)
	}
	switch {
	case r.Denied:
		verdict = "deny"
	case r.Logged:
		verdict = "log"
	}
	return verdict, errno
}

// entry names the instruction. 64-bit code has only one for its calls; which of the
// 32-bit ones it was, user notification does not tell.
func entry(c *shim.Call) string {
	if c.ABI != 0 && abi.Of(c.ABI).Wide {
		return "syscall"
	}
	return c.Frame.Entry.String()
}

func errnoName(errno unix.Errno) string {
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return strconv.Itoa(int(errno))
}
