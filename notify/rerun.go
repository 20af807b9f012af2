package notify

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A caller that is made to run another call meets the filter again. Where the filter has
// that call too, as under a policy that names kill(2), it is notified a second time, and
// the one who waits for it to finish is the one who would have to let it through.

// reruns are the calls that held callers were made to run. The registers are the
// supervisor's own, and nobody but the tracer who holds the caller can change them, so
// letting the kernel run them is safe. Each is marked, so that it is known from an equal
// call of the caller's own, which it makes as soon as it is let go: that one is judged.
type reruns struct {
	Expected bool // the filter notifies of calls that callers are made to run

	count atomic.Int32 // of calls below, so that nobody locks without need

	mu    sync.Mutex // guards below
	calls map[int32]shim.Rewrite
	kept  []kept
}

// kept is a notification that was received while one of ours was waited for.
type kept struct {
	buffer []byte
	mark   shim.Mark
}

// ExpectReruns says that the filter notifies of the calls that callers are made to run.
// Precondition: the kernel has FLAG_CONTINUE.
func (l *Listener) ExpectReruns() { l.reruns.Expected = true }

// expectRerun returns the call as it is to be run.
func (l *Listener) expectRerun(tid int32, call shim.Rewrite) shim.Rewrite {
	r := &l.reruns
	if !r.Expected {
		return call
	}
	call = marked(call)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = map[int32]shim.Rewrite{}
	}
	r.calls[tid] = call
	r.count.Store(int32(len(r.calls)))
	return call
}

// marked puts what nobody can guess where no call of the family has an argument. The caller
// never sees it: it has its own registers back before it runs. 32 bits each, for callers
// that have no more.
func marked(call shim.Rewrite) shim.Rewrite {
	mark := rand.Uint64()
	call.Args[4], call.Args[5] = mark>>32, mark&0xffffffff
	return call
}

func (l *Listener) forgetRerun(tid int32) {
	r := &l.reruns
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.calls, tid)
	r.count.Store(int32(len(r.calls)))
}

// isRerun lets a call through that its caller was made to run, once.
func (l *Listener) isRerun(c *shim.Call) bool {
	r := &l.reruns
	if r.count.Load() == 0 && l.handed.count.Load() == 0 {
		return false
	}
	r.mu.Lock()
	call, ok := r.calls[c.Tid]
	r.mu.Unlock()
	if !ok {
		call, ok = l.handedCall(c.Tid)
	}
	if !ok || uint32(call.Nr) != c.Frame.Nr || call.Args != c.Frame.Raw {
		return false
	}
	l.forgetRerun(c.Tid)
	resp := seccompNotifResp{id: c.ID, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_ = send(l.fd, &resp)
	return true
}

// finish waits until the caller has run its call, and meanwhile receives: its call among
// others, which are kept for Next. Where it can it does so by itself, for a thread that waits
// for another costs more than the hop.
func (l *Listener) finish(c *shim.Call) (shim.Result, error) {
	if !l.reruns.Expected {
		return c.Runner.Finish()
	}
	defer l.forgetRerun(c.Tid)
	if c.Slow { // the fast lane receives, and would not look for what is kept here
		return c.Runner.Finish()
	}
	if p, ok := c.Runner.(shim.Polled); ok {
		c.Worker().EnterWait()
		l.receiveUntil(p.Descriptor(), c.Worker())
		c.Worker().Leave()
		return p.Finish()
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return shim.Result{}, fmt.Errorf("wait for a caller: eventfd: %w", err)
	}
	defer unix.Close(wake)
	received := make(chan struct{})
	go func() { // not Finish, which is the tracing thread's
		defer close(received)
		l.receiveUntil(wake, c.Worker())
	}()
	result, err := c.Runner.Finish()
	var one [8]byte
	binary.LittleEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(wake, one[:])
	<-received
	return result, err
}

// receiveUntil receives until wake can be read, or another worker does: a frozen caller
// can keep this one waiting.
func (l *Listener) receiveUntil(wake int, w *shim.Worker) {
	const look = 20 // ms
	fds := []unix.PollFd{{Fd: int32(wake), Events: unix.POLLIN}, {Fd: int32(l.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, look)
		switch {
		case w.Replaced():
			return
		case err != nil || n == 0:
		case fds[0].Revents != 0:
			return
		case fds[1].Revents&unix.POLLIN == 0: // hung up: the caller has ended
			fds[1].Fd = -1
		default:
			l.keepOne()
		}
	}
}

// keepOne receives one notification and keeps it, if it is not a rerun.
func (l *Listener) keepOne() {
	var c shim.Call
	l.makeRoom(&c)
	if receive(l.fd, c.Buffer) != 0 {
		c.Finished()
		return
	}
	l.decode(&c)
	if l.isRerun(&c) {
		c.Finished()
		return
	}
	l.reruns.mu.Lock()
	defer l.reruns.mu.Unlock()
	l.reruns.kept = append(l.reruns.kept, kept{c.Buffer, c.Mark})
}

// take finds the oldest notification kept.
func (r *reruns) take() (k kept, ok bool) {
	if !r.Expected {
		return k, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) == 0 {
		return k, false
	}
	k, r.kept = r.kept[0], r.kept[1:]
	return k, true
}
