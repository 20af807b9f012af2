package front

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// notice tells the front what signals the supervisor gets, which mean nothing to it: see
// hold.go. One thread takes them, the others have them blocked. SIGHUP can be the
// program's to hear (see Hear), and comes by the runtime then.
func (s *supervisor) notice() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(pipe[1], true); err != nil { // who floods us loses his own
		return os.NewSyscallError("fcntl", err)
	}
	never, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	spareThreads(spares)
	ready := make(chan struct{})
	go takeSignals(never, ready)
	<-ready
	notes = int32(pipe[1])
	go s.tellNotes(pipe[0])
	return nil
}

// spares are the supervisor's threads, had while COMMAND has not used up what there is: the
// runtime aborts where it is refused one. Some ten goroutines of ours wait in the kernel (for
// orders, for the parent thread, for the keeper of descriptors, for notes and signals, in the
// poller), and each processor has one that runs and one that has just let another run.
const spares = 14

// noticeAgain comes after the fork, for which this process ignored what COMMAND was to
// inherit as ignored.
func (s *supervisor) noticeAgain() error {
	for _, sig := range (s.ignored &^ stubborn() &^ setOf(unix.SIGKILL, unix.SIGSTOP, unix.SIGHUP)).signals() {
		if err := catch(sig); err != nil {
			return err
		}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	go func() {
		for range hangups {
			message{noticed, int32(unix.SIGHUP)}.sendNow(s.sock)
		}
	}()
	return nil
}

func (s *supervisor) tellNotes(pipe int) {
	for {
		n := new(note)
		got, err := unix.Read(pipe, n[:])
		switch {
		case err == unix.EINTR:
		case err != nil || got == 0:
			return
		case got == len(n) && n.code() <= 0 && int(n.pid()) != os.Getpid():
			message{noticed, int32(n.signal())}.sendNow(s.sock)
		}
	}
}

// stopInterval is how often it is seen whether the front is stopped: by SIGSTOP, which it
// cannot pass on, and of which no event tells but its parent.
const stopInterval = 100 * time.Millisecond

// followStops stops COMMAND with a front that somebody has stopped alone. A SIGCONT is the
// front's to pass on. A front that was told to stop is continued when COMMAND is seen to
// be; others are looked at twice, for a whole group is not stopped in one moment.
func (s *supervisor) followStops() {
	for alone := 0; ; time.Sleep(stopInterval / 2) { //nolint:forbidigo // see above
		switch {
		case s.stoppedFront.Load() || !isIn(s.front, stoppedState) || isIn(s.command.pid, stoppedStates):
			alone = 0
			if s.command.over() {
				return
			}
			time.Sleep(stopInterval / 2) //nolint:forbidigo // see above
		case alone > 0:
			s.command.kill(unix.SIGSTOP)
			alone = 0
		default:
			alone++
		}
	}
}

// Deafen drops, in a process of ours that was started beside COMMAND, every signal that
// somebody sends: none is meant for it, and it is not to die of one that a whole control
// group gets.
func Deafen() error {
	return catchAll(everything&^threadSignals()&^setOf(unix.SIGURG, unix.SIGCHLD), 0)
}
