package front

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// serve reaps until no descendant is left and there is nobody to serve.
func (s *supervisor) serve() error {
	go s.obey()
	go s.followStops()
	if err := s.watch(); err != nil {
		return err
	}
	if s.Wait == nil {
		return nil
	}
	return s.Wait()
}

// watch reaps until no descendant is left, and reports what COMMAND does.
func (s *supervisor) watch() error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	if err := Hear(unix.SIGCHLD); err != nil {
		return err
	}
	if err := QuietStops(); err != nil { // each stop of a tracee is one
		return err
	}
	events := s.parent.listen()
	for !s.command.reaped { // nobody else sets it
		s.parent.next()
		for told := false; !told; {
			s.command.reapDead()
			select {
			case <-children:
			case _, told = <-events:
				if !told { // COMMAND is the main thread's once that one is gone
					s.parent.end()
					return s.command.watch(s.report, s.alone)
				}
			}
		}
		m, ok, err := s.command.take(s.command.pid, s.alone)
		if err != nil {
			return err
		}
		if ok {
			s.report(m)
		}
	}
	return s.command.watch(func(message) {}, s.alone)
}

// alone ends the children that are not COMMAND's: see Hooks.Alone. Those of the thread that
// has forked COMMAND are the main thread's afterwards.
func (s *supervisor) alone() {
	s.parent.end()
	if s.Alone != nil {
		s.Alone()
	}
	s.inside.leave()
}

// obey passes the front's signals to COMMAND, and notices its end.
func (s *supervisor) obey() {
	for {
		var b [passedSize]byte
		if err := receivePacket(s.sock, b[:]); err != nil {
			s.frontDied()
			return
		}
		p := parsePassed(b)
		switch p.signal() {
		case 0:
			return
		case parentDied:
			s.parent.quit()
			if s.Protect && s.death != 0 { // COMMAND was not born with it
				s.command.kill(s.death)
			}
			continue
		}
		s.command.pass(p)
	}
}

// frontDied ends COMMAND: a front that dies while COMMAND lives was killed (SIGKILL is the one
// signal that it cannot pass on), and whoever kills a wrapper means the program in it.
func (s *supervisor) frontDied() {
	if s.sentinel.wasKilled() {
		s.command.killGroup(unix.SIGKILL)
	}
	s.command.kill(unix.SIGKILL)
}

// report tells the front what COMMAND does. What it does by now counts more than
// the event, which may be old: a front that has been stopped or continued with its
// group must not be turned round after it.
func (s *supervisor) report(m message) {
	switch m.kind {
	case stopped:
		s.mirrored = true
		s.stoppedFront.Store(true)
		if unix.Signal(m.value) != unix.SIGSTOP {
			m.sendNow(s.sock)
		} else if comesToRest(s.command.pid, s.command.hasMoved) {
			s.shell.send(unix.SIGSTOP)
		}
	case continued:
		defer s.stoppedFront.Store(false)
		m.sendNow(s.sock)                       // for one that is about to stop
		if !isIn(s.command.pid, stoppedState) { // else "stopped" comes next
			s.shell.send(unix.SIGCONT)
		}
	case ended, endedLeaving:
		s.end()
		s.reportEnd(m)
	}
}

// reportEnd wakes a front that stopped with COMMAND: one that is continued, or
// killed, and ends at once is only seen to have ended. Before the message,
// for a front that has not read too many; after it, for front.stop.
func (s *supervisor) reportEnd(m message) {
	if s.mirrored {
		s.shell.send(unix.SIGCONT)
	}
	_ = m.send(s.sock)
	if s.mirrored {
		s.shell.send(unix.SIGCONT)
	}
}

// end is COMMAND's end: from here on no pipe of its user's is kept open.
func (s *supervisor) end() {
	s.sentinel.stop()
	if s.Ended != nil {
		s.Ended()
	}
	if !s.KeepStderr {
		redirectToNull(2)
	}
}
