package emulate

import (
	"bytes"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Open handles open and openat of callers that have process descriptors: of one's own fdinfo
// the caller gets what that of a real one says.
func (h *SendSignal) Open(c *shim.Call) shim.Verdict {
	h.begin()
	defer h.busy.Store(false)
	at := 0
	if c.What == arch.Openat {
		at = 1
	}
	fd, ok := h.asksFdinfo(c, c.Args.Pointer(at))
	if ok {
		if m, ours, err := h.Family.Find(c.Tid, fd); ours && err == nil {
			return h.openFdinfo(c, fd, m, c.Args.Uint(at+1)&unix.O_CLOEXEC != 0)
		}
	}
	c.Record.Quiet = true
	return shim.Pass()
}

func (h *SendSignal) openFdinfo(c *shim.Call, fd int32, m family.Meaning, cloexec bool) shim.Verdict {
	if m.Dir >= 0 {
		defer sys.Close(m.Dir)
	}
	caller, err := h.callers.sure(h, c.Tid)
	if err != nil {
		return h.cannotServe(c, err)
	}
	info, err := h.Proc.FdInfo(c.Tid, fd)
	if err != nil {
		return h.cannotServe(c, err)
	}
	c.Record.TargetPid = m.Pid
	own := shim.Rewrite{Nr: uint64(c.Frame.Nr), Args: c.Args}
	return shim.Steps(h.Family.Fdinfo(c.Tid, c.ABI, own, cloexec, h.fdinfoText(caller, info, m)))
}

// fdinfoText is what kernel/pid.c (fs/pidfs.c), pidfd_show_fdinfo says, after fs/proc/fd.c.
func (h *SendSignal) fdinfoText(c *caller, info proc.FdInfo, m family.Meaning) []byte {
	flags := info.Flags&^unix.O_ACCMODE | unix.O_RDWR
	if m.Thread {
		flags |= unix.PIDFD_THREAD
	}
	text := fmt.Appendf(nil, "pos:\t0\nflags:\t0%o\nmnt_id:\t%d\n", flags, info.MountID)
	var status proc.Status
	switch {
	case m.Reaped || h.Proc.DirFromFD(m.Dir).Status(&status) != nil:
		return append(text, "Pid:\t-1\nNSpid:\t-1\n"...)
	case c.depth == 0 || status.NSpids < c.depth:
		return append(text, "Pid:\t0\nNSpid:\t0\n"...)
	}
	if number, ok := h.numberFor(c, status.NSpid[0]); !ok || number != status.NSpid[c.depth-1] {
		return append(text, "Pid:\t0\nNSpid:\t0\n"...)
	}
	text = fmt.Appendf(text, "Pid:\t%d\nNSpid:", status.NSpid[c.depth-1])
	for _, n := range status.NSpid[c.depth-1 : status.NSpids] {
		text = fmt.Appendf(text, "\t%d", n)
	}
	return append(text, '\n')
}

// asksFdinfo reads a path that names a descriptor's fdinfo of the calling process.
func (h *SendSignal) asksFdinfo(c *shim.Call, addr uint64) (fd int32, ok bool) {
	var buf [64]byte
	n := 0
	for n < len(buf) && bytes.IndexByte(buf[:n], 0) < 0 {
		at := addr + uint64(n)
		part := buf[n : n+min(len(buf)-n, int(page-at%page))]
		if !h.present(&attempt{call: c, req: request{info: at}}, len(part)) {
			return 0, false
		}
		got, err := callerMemory{h.Proc}.Read(c.Tid, at, part)
		if err != nil || got < len(part) {
			return 0, false
		}
		n += got
	}
	path, _, ended := bytes.Cut(buf[:n], []byte{0})
	rest, found := bytes.CutPrefix(path, []byte("/proc/"))
	who, name, split := bytes.Cut(rest, []byte("/fdinfo/"))
	if !ended || !found || !split {
		return 0, false
	}
	number, err := strconv.ParseInt(string(name), 10, 32)
	return int32(number), err == nil && h.isOwn(c, string(who))
}

// isOwn tells whether a name below /proc means the calling process.
func (h *SendSignal) isOwn(c *shim.Call, who string) bool {
	if who == "self" || who == "thread-self" {
		return true
	}
	pid, err := strconv.ParseInt(who, 10, 32)
	if err != nil {
		return false
	}
	caller, err := h.callers.sure(h, c.Tid)
	return err == nil && int32(pid) == caller.number
}
