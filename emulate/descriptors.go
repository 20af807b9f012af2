package emulate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Descriptors handles the calls by which a program gets a process descriptor or waits for one,
// where the kernel has none of them: Family keeps the descriptors, the caller itself makes and
// has them. The errors are those of 6.18.
type Descriptors struct {
	handler *SendSignal // whose worker it is
	tasks   *task.View
	family  *family.Table
}

// Descriptors is the handler of those calls for the same worker.
func (h *SendSignal) Descriptors() *Descriptors { return &Descriptors{h, h.tasks, h.Family} }

// open is pidfd_open, which nothing denies (kernel/pid.c).
func (d *Descriptors) open(a *attempt) shim.Verdict {
	c := a.call
	pid, flags := c.Args.Int(0), c.Args.Uint(1)
	if flags&^(unix.PIDFD_NONBLOCK|unix.PIDFD_THREAD) != 0 || pid <= 0 {
		return shim.Fail(unix.EINVAL)
	}
	thread := flags&unix.PIDFD_THREAD != 0
	here, errno, err := d.named(c, pid, thread)
	if err != nil {
		return d.cannotServe(c, err)
	}
	if errno != 0 {
		return shim.Fail(errno)
	}
	target, err := d.family.Watch(here, thread)
	switch {
	case errors.Is(err, unix.ESRCH):
		return shim.Fail(unix.ESRCH)
	case err != nil:
		return d.cannotServe(c, err)
	case d.handler.Backend.Blocked(c) != nil:
		d.family.Leave(target)
		return shim.Gone()
	case a.target.pid > 0 && (a.target.pid != here || !a.target.owned(d.tasks)): // who was judged has gone
		d.family.Leave(target)
		return shim.Fail(unix.ESRCH)
	}
	c.Record.TargetPid = here
	return shim.Steps(d.family.Open(c.Tid, c.ABI, target, flags&unix.PIDFD_NONBLOCK != 0))
}

// named finds whom the caller means by a number.
func (d *Descriptors) named(c *shim.Call, pid int32, thread bool) (here int32, errno unix.Errno, err error) {
	caller, err := d.handler.callers.sure(c.Tid)
	if err != nil {
		return 0, 0, err
	}
	var status proc.Status
	if here, err = caller.pidFromNS(pid); err == nil {
		err = d.tasks.Status(here, &status)
	}
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return 0, unix.ESRCH, nil
	case err != nil:
		return 0, 0, err
	case !thread && status.Tgid != here:
		return 0, unix.ENOENT, nil // EINVAL up to 6.12
	}
	return here, 0, nil
}

// cannotServe ends a call that could not be served.
func (d *Descriptors) cannotServe(c *shim.Call, err error) shim.Verdict {
	if v, ended := d.handler.unserved(c, err); ended {
		return v
	}
	return shim.Fail(unix.ENOSYS)
}

// The options of waitid (kernel/exit.c, kernel_waitid_prepare).
const (
	waitKinds   = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	waitOptions = waitKinds | unix.WNOHANG | unix.WNOWAIT | unix.WNOTHREAD | unix.WCLONE | unix.WALL
	idPidfd     = 3 // P_PIDFD
)

// Wait handles wait4 and waitid. What they do is the kernel's; but a caller who was woken by
// a descriptor, and asks at once, is held here until its child can be waited for.
func (d *Descriptors) Wait(c *shim.Call) shim.Verdict {
	d.handler.begin()
	defer d.handler.busy.Store(false)
	options := c.Args.Uint(3)
	if c.What != arch.Waitid || c.Args.Int(0) != idPidfd || options&^waitOptions != 0 || options&waitKinds == 0 || c.Args.Int(1) < 0 {
		c.Record.Quiet = true
		return shim.Pass()
	}
	caller, err := d.handler.callers.sure(c.Tid)
	if err != nil {
		return d.cannotServe(c, err)
	}
	m, ours, err := d.family.Find(c.Tid, c.Args.Int(1))
	if err != nil {
		return d.cannotServe(c, err)
	}
	errno := unix.Errno(0)
	number, visible := caller.number, false // whose child it is not itself
	switch {
	case !ours:
		errno = unix.EBADF
	case m.Dir >= 0:
		sys.Close(m.Dir)
		if n, ok := caller.pidInNS(m.Pid); ok {
			number, visible = n, true
		}
	}
	if ours && !visible {
		errno = unix.ECHILD
	}
	c.Record.TargetPid = m.Pid
	return shim.Steps(family.Wait(c.ABI, number, m, c.Args, errno))
}

// cloneDetached is CLONE_DETACHED, which clone has taken no notice of for long.
const cloneDetached = 0x400000

// Clone handles clone with CLONE_PIDFD (kernel/fork.c, copy_process).
func (d *Descriptors) Clone(c *shim.Call) shim.Verdict {
	d.handler.begin()
	defer d.handler.busy.Store(false)
	switch flags := c.Args.Uint(0); {
	case flags&unix.CLONE_PIDFD == 0:
		return shim.Pass()
	case abi.Of(c.ABI).Mark != 0 && !d.tasks.Features.Marked:
		return shim.Fail(unix.ENOSYS)
	case flags&(cloneDetached|unix.CLONE_PARENT_SETTID) != 0:
		return shim.Fail(unix.EINVAL)
	}
	return shim.Steps(d.family.Clone(c.Tid, c.ABI, c.Args))
}

// Open handles open and openat of callers that have process descriptors: of one's own fdinfo
// the caller gets what that of a real one says.
func (d *Descriptors) Open(c *shim.Call) shim.Verdict {
	d.handler.begin()
	defer d.handler.busy.Store(false)
	at := 0
	if c.What == arch.Openat {
		at = 1
	}
	fd, ok := d.asksFdinfo(c, c.Args.Pointer(at))
	if ok {
		if m, ours, err := d.family.Find(c.Tid, fd); ours && err == nil {
			return d.openFdinfo(c, fd, m, c.Args.Uint(at+1)&unix.O_CLOEXEC != 0)
		}
	}
	c.Record.Quiet = true
	return shim.Pass()
}

func (d *Descriptors) openFdinfo(c *shim.Call, fd int32, m family.Meaning, cloexec bool) shim.Verdict {
	if m.Dir >= 0 {
		defer sys.Close(m.Dir)
	}
	caller, err := d.handler.callers.sure(c.Tid)
	if err != nil {
		return d.cannotServe(c, err)
	}
	info, err := d.tasks.Proc.FdInfo(c.Tid, fd)
	if err != nil {
		return d.cannotServe(c, err)
	}
	c.Record.TargetPid = m.Pid
	own := shim.Rewrite{Nr: uint64(c.Frame.Nr), Args: c.Args}
	return shim.Steps(d.family.Fdinfo(c.Tid, c.ABI, own, cloexec, d.fdinfoText(caller, info, m)))
}

// fdinfoText is what kernel/pid.c (fs/pidfs.c), pidfd_show_fdinfo says, after fs/proc/fd.c.
func (d *Descriptors) fdinfoText(c *caller, info proc.FdInfo, m family.Meaning) []byte {
	flags := info.Flags&^unix.O_ACCMODE | unix.O_RDWR
	if m.Thread {
		flags |= unix.PIDFD_THREAD
	}
	text := fmt.Appendf(nil, "pos:\t0\nflags:\t0%o\nmnt_id:\t%d\n", flags, info.MountID)
	var status proc.Status
	switch {
	case m.Reaped || d.tasks.Proc.DirFromFD(m.Dir).Status(&status) != nil:
		return append(text, "Pid:\t-1\nNSpid:\t-1\n"...)
	case c.depth == 0 || status.NSpids < c.depth:
		return append(text, "Pid:\t0\nNSpid:\t0\n"...)
	}
	if number, ok := c.pidInNS(status.NSpid[0]); !ok || number != status.NSpid[c.depth-1] {
		return append(text, "Pid:\t0\nNSpid:\t0\n"...)
	}
	text = fmt.Appendf(text, "Pid:\t%d\nNSpid:", status.NSpid[c.depth-1])
	for _, n := range status.NSpid[c.depth-1 : status.NSpids] {
		text = fmt.Appendf(text, "\t%d", n)
	}
	return append(text, '\n')
}

// asksFdinfo reads a path that names a descriptor's fdinfo of the calling process.
func (d *Descriptors) asksFdinfo(c *shim.Call, addr uint64) (fd int32, ok bool) {
	var buf [64]byte
	n := 0
	for n < len(buf) && bytes.IndexByte(buf[:n], 0) < 0 {
		at := addr + uint64(n)
		part := buf[n : n+min(len(buf)-n, int(page-at%page))]
		if !d.handler.memory.present(&attempt{call: c, req: request{info: at}}, len(part)) {
			return 0, false
		}
		got, err := callerMemory{d.tasks.Proc}.Read(c.Tid, at, part)
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
	return int32(number), err == nil && d.isOwn(c, string(who))
}

// isOwn reports whether a name below /proc means the calling process.
func (d *Descriptors) isOwn(c *shim.Call, who string) bool {
	if who == "self" || who == "thread-self" {
		return true
	}
	pid, err := strconv.ParseInt(who, 10, 32)
	if err != nil {
		return false
	}
	caller, err := d.handler.callers.sure(c.Tid)
	return err == nil && int32(pid) == caller.number
}
