package inject

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
)

// Server is the process that traces callers for a supervisor and outlives it: the other side
// of Remote. What it has been told to run it runs, whether anybody is left to be told of
// it. Callers that it only holds wait on, unharmed, when it is hung up on: they are let go
// by the end of the thread that holds them, for which they need not stop.
type Server struct {
	// Answer is notify.CallAgain.
	Answer func(listener int, id uint64)

	// Between is Injector's: tests only.
	Between func(Step)

	held tracee.Held
	pins tracee.Pins
}

// AtOnce is how many callers are held at once, but for those that take long.
func AtOnce() int { return 4 * runtime.GOMAXPROCS(0) }

// Serve injects until nobody is left to ask for it.
func (s *Server) Serve(control *os.File) error {
	s.pins.Held = &s.held
	return helper.ServeMany(control, s.talk)
}

// talk is one conversation. Precondition: its thread ends with it.
func (s *Server) talk(socket int) {
	h := &Injector{Set: &tracee.Set{Held: &s.held}, Pins: &s.pins, Between: s.Between}
	defer h.Set.Abandon()
	defer h.unpin()
	for s.serve(socket, h) {
	}
}

// serve has one caller run one call. False: the thread has to end, to let go of somebody or
// because nobody asks any more.
func (s *Server) serve(socket int, h *Injector) (again bool) {
	var question [runSize]byte
	n, _, err := helper.Receive(socket, question[:])
	if err != nil || n != holdSize {
		return false
	}
	held, pinned := h.hold(decodeHold(question[:]))
	if !held {
		return tell(socket, answer{})
	}
	if !tell(socket, answer{tracer: int32(unix.Gettid()), yes: pinned}) {
		return false
	}
	n, listener, err := helper.Receive(socket, question[:])
	if listener < 0 {
		return false
	}
	if err != nil || n != runSize {
		_ = unix.Close(listener)
		return false
	}
	o := decodeOrder(question[:])
	h.abi, h.ip = o.abi, o.ip
	_, _ = h.Run(nil, o.call)
	s.Answer(listener, o.id)
	_ = unix.Close(listener) // a container's calls must not wait for one whom nobody serves
	h.at(Answered)
	result, err := h.Finish()
	tell(socket, answer{yes: err == nil, result: result})
	s.pins.Stock()
	return h.Set.LetGo(func() bool { return false })
}

// tell answers, if anybody is left.
func tell(socket int, a answer) bool {
	return unix.Sendto(socket, a.encode(), unix.MSG_NOSIGNAL, nil) == nil
}
