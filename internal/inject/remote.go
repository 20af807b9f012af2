package inject

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Remote is Injector in another process (Server), so that a caller that has another call's
// registers survives the end of its supervisor. That process answers the notification,
// too: up to the moment in which it is told to, a dead supervisor leaves the caller
// waiting, and from then on nothing of the supervisor is needed. There is no third state.
type Remote struct {
	Pool     *Pool
	Listener *os.File // whose callers these are
	Log      *slog.Logger

	worker *shim.Worker
	abi    arch.ABI
	ip     uint64
	talk   *conversation // from Hold to Finish or Drop
	tracer int32
}

// Hold implements emulate.Injector.
func (r *Remote) Hold(c *shim.Call, target int32) (held, pinned bool) {
	r.worker = c.Worker()
	if r.worker.Crowded() {
		return false, false
	}
	r.abi, r.ip = c.ABI, c.Frame.IP
	talk := r.Pool.pool.Take() // no wait that another worker would not have
	r.worker.EnterWait()
	defer r.worker.Leave()
	a, err := talk.exchange(encodeHold(c.Tid, target))
	if err != nil {
		r.Log.Error("no process to hold callers: their calls are served another way", "error", err)
	}
	if a.tracer == 0 {
		r.Pool.release(talk)
		return false, false
	}
	r.talk, r.tracer = talk, a.tracer
	return true, a.yes
}

// Run implements shim.Runner: what the memory of calls says of it holds before it can be
// true.
func (r *Remote) Run(c *shim.Call, call shim.Rewrite) (answered bool, err error) {
	o := order{ip: r.ip, id: c.ID, abi: r.abi, call: call}
	if !c.Delegate(r.tracer, call) {
		r.Drop()
		return false, shim.ErrGone
	}
	err = r.talk.ask(o.encode(), unix.UnixRights(int(r.Listener.Fd())))
	if err != nil {
		r.Drop()
		return false, err
	}
	return true, nil
}

// Finish implements shim.Runner.
func (r *Remote) Finish() (shim.Result, error) {
	r.worker.EnterWait() // a frozen caller does not come
	defer r.worker.Leave()
	talk := r.talk
	r.talk = nil
	a, err := talk.answer()
	if err != nil {
		talk.hangUp()
	}
	r.Pool.release(talk)
	switch {
	case err != nil:
		return shim.Result{}, errors.Join(errors.New("the process that had the caller has ended"), err)
	case !a.yes:
		return shim.Result{}, shim.ErrGone
	}
	return a.result, nil
}

// Drop implements emulate.Injector.
func (r *Remote) Drop() {
	r.talk.hangUp()
	r.Pool.release(r.talk)
	r.talk = nil
}

// LetGo implements emulate.Injector: the other side does so by itself.
func (r *Remote) LetGo(func() bool) {}

// Pool are the conversations with one such process, which many Remotes share.
type Pool struct {
	many helper.Many
	pool helper.Pool[*conversation]
}

// NewPool starts nothing yet.
func NewPool(command func(*os.File) (*os.Process, error), all *helper.All) *Pool {
	h := &Pool{many: helper.Many{Command: command, All: all}}
	h.pool.Limit = AtOnce()
	h.pool.New = func() *conversation { return &conversation{pool: h, socket: -1} }
	return h
}

// release is the end of Take.
func (h *Pool) release(c *conversation) {
	if c.lost {
		c.hangUp() // another has been made
		return
	}
	h.pool.Put(c)
}

// conversation is a socket to the process, or will be.
type conversation struct {
	pool   *Pool
	socket int  // -1: to be dialled
	lost   bool // it took long, and another may be made
}

// answerPatience is after how long an answer takes long.
const answerPatience = 50 * time.Millisecond

// exchange is the first question and its answer. The other side may have ended since it was
// last asked; a new one answers.
func (c *conversation) exchange(question []byte) (a answer, err error) {
	for {
		old := c.socket >= 0
		if !old {
			if err = c.dial(); err != nil {
				return a, err
			}
		}
		if err = c.ask(question, nil); err == nil {
			a, err = c.answer()
		}
		if err == nil {
			return a, nil
		}
		if c.hangUp(); !old {
			return a, err
		}
	}
}

func (c *conversation) dial() (err error) {
	if c.socket, err = c.pool.many.Dial(); err != nil {
		c.socket = -1
		return err
	}
	patience := unix.NsecToTimeval(int64(answerPatience))
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(c.socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))
}

func (c *conversation) ask(question, rights []byte) error {
	return os.NewSyscallError("sendmsg", unix.Sendmsg(c.socket, question, rights, nil, unix.MSG_NOSIGNAL))
}

// answer waits for as long as it takes: whoever else needs one of these does not.
func (c *conversation) answer() (answer, error) {
	var b [answerSize]byte
	for {
		n, err := unix.Read(c.socket, b[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if !c.lost {
				c.lost = true
				c.pool.pool.Lose()
			}
		case err != nil:
			return answer{}, os.NewSyscallError("read", err)
		case n != answerSize:
			return answer{}, io.ErrUnexpectedEOF
		default:
			return decodeAnswer(b[:]), nil
		}
	}
}

// hangUp has the other side's thread end, which lets go of everybody.
func (c *conversation) hangUp() {
	if c.socket >= 0 {
		_ = unix.Close(c.socket)
		c.socket = -1
	}
}
