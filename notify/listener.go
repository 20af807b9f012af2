package notify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Listener is a seccomp listener: the backend of user notification. It owns its
// descriptor. Several workers may use it at once.
type Listener struct {
	file    *os.File
	fd      int
	size    int  // of the kernel's struct seccomp_notif
	validIO uint // the encoding of ID_VALID that this kernel takes

	injected  injected
	delegated delegated
	tracer    func(tid int32) (pid int32, err error) // see TellTracers

	adopted bool // calls are waited for by poll: see Descriptor
	journal *Journal
}

// Offsets in struct seccomp_notif { __u64 id; __u32 pid; __u32 flags; struct
// seccomp_data data; }, <linux/seccomp.h>; data's own offsets are in filter.go.
const (
	notifID   = 0
	notifPid  = 8
	notifData = 16
	notifEnd  = 80
)

// newListener takes ownership of the file.
func newListener(file *os.File) (*Listener, error) {
	l := &Listener{file: file, fd: int(file.Fd()), validIO: unix.SECCOMP_IOCTL_NOTIF_ID_VALID}
	sizes, errno := sys.SeccompGetNotifSizes()
	if errno != 0 {
		_ = l.Close()
		return nil, os.NewSyscallError("seccomp(SECCOMP_GET_NOTIF_SIZES)", errno)
	}
	if sizes.Notif < notifEnd || sizes.Resp != 24 {
		_ = l.Close()
		return nil, fmt.Errorf("the kernel's notifications have %d and %d bytes, not 80 or more and 24", sizes.Notif, sizes.Resp)
	}
	l.size = int(sizes.Notif)
	var none uint64
	if sys.SeccompNotifIDValid(l.fd, l.validIO, &none) == unix.EINVAL {
		l.validIO = sys.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR
	}
	// Since 6.6 a waiting caller can be woken on this CPU: half the latency. Older
	// kernels say EINVAL and go on as before.
	_, _ = sys.IoctlValue(l.fd, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return l, nil
}

// Close ends interception: callers that wait and later ones get ENOSYS.
func (l *Listener) Close() error { return l.file.Close() }

// PretendOld makes the listener use what kernels before 5.9 had.
func (l *Listener) PretendOld() { l.validIO = sys.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR }

// Next implements shim.Backend.
func (l *Listener) Next(c *shim.Call) error {
	l.makeRoom(c)
	err := l.receive(c)
	if err != nil {
		c.Finished()
	}
	return err
}

// Descriptor implements shim.Shared. A listener that was handed over is waited for by poll:
// it outlives many containers, and RECV blocks on after the last caller has ended, until 6.11.
func (l *Listener) Descriptor() int {
	if l.adopted {
		return l.fd
	}
	return -1
}

// makeRoom makes a buffer to receive into.
func (l *Listener) makeRoom(c *shim.Call) {
	if l.journal != nil {
		if s := l.journal.take(); s != nil {
			s.open(l.size)
			c.Buffer, c.Entry = s.received(l.size), s
			return
		}
		c.Buffer = nil // which was a slot's
	}
	if len(c.Buffer) != l.size {
		c.Buffer = make([]byte, l.size)
	}
}

func (l *Listener) receive(c *shim.Call) error {
	for {
		clear(c.Buffer)
		switch errno := sys.SeccompNotifRecv(l.fd, c.Buffer); errno {
		case 0:
			l.decode(c)
			if l.isInjected(c) {
				return shim.ErrGone
			}
			return nil
		case unix.EINTR:
		case unix.ENOENT: // the caller was interrupted first, or nobody is left
			if l.HungUp() {
				return io.EOF
			}
			return shim.ErrGone
		default:
			return os.NewSyscallError("ioctl(SECCOMP_IOCTL_NOTIF_RECV)", errno)
		}
	}
}

func (l *Listener) decode(c *shim.Call) {
	le := binary.LittleEndian
	data := c.Buffer[notifData:]
	c.ID = le.Uint64(c.Buffer[notifID:])
	c.Tid = int32(le.Uint32(c.Buffer[notifPid:]))
	c.Frame.Nr = le.Uint32(data[offsetNr:])
	c.Frame.Arch = le.Uint32(data[offsetArch:])
	c.Frame.IP = le.Uint64(data[8:])
	for i := range c.Frame.Raw {
		c.Frame.Raw[i] = le.Uint64(data[offsetArgs+8*i:])
	}
}

// Blocked implements shim.Backend.
func (l *Listener) Blocked(c *shim.Call) error {
	id := c.ID
	if sys.SeccompNotifIDValid(l.fd, l.validIO, &id) != 0 {
		return shim.ErrGone
	}
	return nil
}

// Answer implements shim.Backend.
func (l *Listener) Answer(c *shim.Call, v shim.Verdict) error {
	resp := sys.SeccompNotifResp{ID: c.ID}
	switch v.Kind {
	case shim.KindReturn:
		resp.Val = v.Value
	case shim.KindFail:
		resp.Error = -int32(v.Errno)
	case shim.KindRun:
		if v.Runner == nil {
			return l.refuse(c, fmt.Errorf("verdict %q: nobody holds the caller", v))
		}
		return l.run(c, v)
	case shim.KindPass:
		resp.Flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	default:
		return l.refuse(c, fmt.Errorf("verdict %q cannot answer a notification", v))
	}
	switch errno := sys.SeccompNotifSend(l.fd, &resp); errno {
	case 0:
		return nil
	case unix.ENOENT, unix.EINPROGRESS:
		return shim.ErrGone
	default:
		return os.NewSyscallError("ioctl(SECCOMP_IOCTL_NOTIF_SEND)", errno)
	}
}

// run has the caller run another call. It is held by the Runner, which puts the result in the
// place of the answer, and does so too where the answer is refused because a signal came
// first.
func (l *Listener) run(c *shim.Call, v shim.Verdict) error {
	answered, err := v.Runner.Run(c, l.expectInjected(c, v.Call))
	if err != nil {
		l.forgetInjected(c.Tid, c.ID)
		if errors.Is(err, shim.ErrGone) { // or a successor's by now: it is answered by that one
			return err
		}
		return l.refuse(c, err)
	}
	if !answered {
		CallAgain(l.fd, c.ID)
	}
	if c.Record.Result, err = l.finish(c, v.Runner); err != nil && !errors.Is(err, shim.ErrGone) {
		return l.refuse(c, err) // the runner has failed, and perhaps before it could answer
	}
	return err
}

// CallAgain answers a call so that its caller makes it again, unless the one who holds it
// does something else with it: by ERESTARTNOINTR, which the kernel acts upon on the way out
// of a call, where a signal or a tracer is pending.
//
// Precondition: the caller is traced and was told to stop.
func CallAgain(listener int, id uint64) {
	_ = sys.SeccompNotifSend(listener, &sys.SeccompNotifResp{ID: id, Error: -sys.ERESTARTNOINTR})
}

// refuse ends a call that cannot be answered as decided.
func (l *Listener) refuse(c *shim.Call, why error) error {
	resp := sys.SeccompNotifResp{ID: c.ID, Error: -int32(unix.ENOSYS)}
	_ = sys.SeccompNotifSend(l.fd, &resp)
	return why
}

// HungUp tells whether no task is under the filter any more. Kernels before 5.9
// never say so, and until 6.11 a zombie still counts (kernel/seccomp.c,
// seccomp_notify_poll).
func (l *Listener) HungUp() bool { return l.poll(0) == nil }

// WaitHangUp blocks until no task is under the filter.
func (l *Listener) WaitHangUp() error { return l.poll(-1) }

func (l *Listener) poll(timeout int) error {
	fds := []unix.PollFd{{Fd: int32(l.fd)}} // POLLHUP needs no asking
	for {
		n, err := unix.Poll(fds, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll(listener)", err)
		case n == 0:
			return unix.EAGAIN
		case fds[0].Revents&unix.POLLNVAL != 0:
			return os.NewSyscallError("poll(listener)", unix.EBADF)
		case fds[0].Revents&unix.POLLHUP != 0:
			return nil
		case timeout == 0: // POLLERR: a signal came while poll waited for the filter's lock
			return unix.EAGAIN
		}
	}
}
