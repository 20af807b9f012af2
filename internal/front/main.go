package front

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

const (
	program = "pidfd-shim"
	selfExe = "/proc/self/exe"

	// ourFailure is the exit status of every error of ours.
	ourFailure = 125
)

// Options are what the front has to know.
type Options struct {
	Command []string // COMMAND and its arguments; not empty
	Config  []string // opaque words, handed to the supervisor's Open
	WaitAll bool     // end only when every descendant of COMMAND has
}

// front is the process that the shell started.
type front struct {
	Options
	birth      birth
	inherited  *Inherited
	notes      noted
	sock       int // the supervisor's end, or that of our own watch
	supervisor int // its pid, 0 once reaped
	sentinel   *groupSentinel
	command    *command                  // nil until COMMAND has started
	early      []*note                   // what came before COMMAND was there to get it
	holding    holding                   // what may be for everybody: see hold.go
	noticed    map[unix.Signal]time.Time // when the supervisor last got it
	orphaned   bool                      // the supervisor is dead, COMMAND is our child
	lookout    lookout
	terminal   int // which of our descriptors COMMAND takes as its own, or noTerminal
	parent     starter
	continued  groupContinue
}

// Main runs COMMAND under a supervisor and ends as COMMAND ends: it returns COMMAND's
// exit status, and not at all if COMMAND died of a signal, but dies of it, too. The
// status is 125 for an error of ours, 126 and 127 as in a shell. Errors are printed
// here. The process is good for nothing else afterwards: the caller exits with the
// status.
//
// Precondition: called from the main goroutine, which has not called it before.
func Main(opts Options) int {
	// The thread that starts the sentinel has to outlive it, and is the only one
	// whose mask is ours to set.
	runtime.LockOSThread()
	f := &front{Options: opts, birth: atBirth(), noticed: map[unix.Signal]time.Time{}}
	if err := f.start(); err != nil {
		complain(err)
		f.sentinel.stop()
		return ourFailure
	}
	status := f.mirror()
	f.sentinel.stop()
	return endAs(status)
}

// start brings up sentinel, handlers and supervisor, in this order: what comes in
// from then on is noted, and every child is born with all signals blocked.
func (f *front) start() (err error) {
	if f.inherited, err = inherited(); err != nil {
		return err
	}
	if err := canWait(); err != nil {
		return err
	}
	f.terminal = terminalToYield() // before we are several
	setMask(blocked)
	if f.sentinel, err = newGroupSentinel(); err != nil {
		return fmt.Errorf("start the sentinel: %w", err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	f.notes = noted(pipe[0])
	if f.parent, err = watchParent(f.birth.death); err != nil {
		return err
	}
	if err := catchAll(everything, pipe[1]); err != nil {
		return err
	}
	if err := routeToOneThread(); err != nil {
		return err
	}
	// The orphans of a supervisor that dies, COMMAND first, come to us.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	if err := f.startSupervisor(); err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	// Whoever could trace this process would run code beside the filter.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_DUMPABLE)", err)
	}
	f.inherited.close()
	return nil
}

// canWait finds out whether a filter around us refuses wait4, without which a supervisor
// would look for ever at a child that has ended. We are no child of our own.
func canWait() error {
	if _, err := unix.Wait4(os.Getpid(), nil, unix.WNOHANG, nil); err != nil && err != unix.ECHILD {
		return fmt.Errorf("wait for a child: wait4: %w: a seccomp filter around us refuses it: run pidfd-shim outside of that sandbox", err)
	}
	return nil
}

func (f *front) startSupervisor() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	// Ours to inherit at its own number: any fixed one could be COMMAND's.
	if _, err := unix.FcntlInt(uintptr(pair[1]), unix.F_SETFD, 0); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	words := orders{
		birth: f.birth, sock: pair[1], front: os.Getpid(), terminal: f.terminal,
		config: f.Config, command: f.Command,
	}
	// The Go runtime in the supervisor inherits the mask: no thread of it takes a
	// signal but SIGURG, which the runtime itself needs.
	setMask(blocked &^ setOf(unix.SIGURG))
	defer setMask(blocked)
	f.supervisor, err = syscall.ForkExec(selfExe,
		append([]string{program, string(role.Supervisor)}, words.args()...),
		&syscall.ProcAttr{
			Env: environment(), Files: standardFiles(0),
		})
	_ = unix.Close(pair[1])
	f.sock = pair[0]
	return err
}

// mirror does as COMMAND does until its end, and returns the wait status.
func (f *front) mirror() unix.WaitStatus {
	for {
		if !f.wait() {
			f.look()
			continue
		}
		if readable(f.sock, 0) {
			m, err := receive(f.sock)
			if err != nil {
				if status, final := f.lost(err); final {
					return status
				}
				continue
			}
			if status, final := f.handle(m); final {
				return status
			}
			continue
		}
		f.relay()
		f.passDue()
	}
}

// wait blocks until there is a message, or a note that can be passed on, at once or after
// a while: before COMMAND has started they wait. False: it is time for a look.
func (f *front) wait() bool {
	fds := []unix.PollFd{{Fd: int32(f.sock), Events: unix.POLLIN}}
	if f.command != nil {
		fds = append(fds, unix.PollFd{Fd: int32(f.notes), Events: unix.POLLIN})
	}
	if due := f.holding.untilDue(); due >= 0 {
		_, _ = unix.Poll(fds, due)
		return true
	}
	n, _ := unix.Poll(fds, f.lookout.timeout())
	return n != 0
}

// handle acts on a message; final comes with the wait status to end with.
func (f *front) handle(m message) (status unix.WaitStatus, final bool) {
	switch m.kind {
	case failed:
		f.reapSupervisor()
		return ourStatus(int(m.value)), true
	case starting:
		f.noteEarly()
		if err := f.yieldTerminal(); err != nil {
			complain(err)
			_ = unix.Kill(f.supervisor, unix.SIGKILL) //nolint:forbidigo // our unreaped child
			f.waitSupervisor()
			return ourStatus(ourFailure), true
		}
		_ = sendPacket(f.sock, make([]byte, passedSize), 0)
	case started:
		f.command = &command{pid: int(m.value)}
		f.reapInherited()
		f.lookout = newLookout()
		f.passEarly()
	case stopped:
		if sig := unix.Signal(m.value); !f.lentFor(sig) {
			f.stop(sig)
		}
	case noticed:
		f.noticed[unix.Signal(m.value)] = time.Now()
	case ended:
		f.reapSupervisor()
		return unix.WaitStatus(m.value), true
	case endedLeaving:
		if f.WaitAll {
			f.waitForAll()
		}
		return unix.WaitStatus(m.value), true
	}
	return 0, false
}

// supervisorGrace is how long a supervisor with nothing left may take to write
// out what it has; after it the front ends all the same.
const supervisorGrace = 10 * time.Second

// reapSupervisor waits for a supervisor that has nothing left to do: what it
// writes is complete, its descendants' times are counted as ours, and no process
// of ours is left when the shell goes on.
func (f *front) reapSupervisor() {
	if f.orphaned || !readable(f.sock, supervisorGrace) {
		return
	}
	f.waitSupervisor()
}

func (f *front) waitSupervisor() (status unix.WaitStatus) {
	for f.supervisor != 0 {
		_, err := unix.Wait4(f.supervisor, &status, 0, nil)
		if err != unix.EINTR {
			f.supervisor = 0
		}
	}
	return status
}

// waitForAll waits until no descendant is left. There is no COMMAND to pass a
// signal to any more, so signals do what they do by default.
func (f *front) waitForAll() {
	// routeToOneThread's may still be pending for a thread that has not run since, and we would
	// die of it; to ignore it takes it away.
	_ = dispose(routed, sigIgn)
	for _, sig := range (everything &^ faults() &^ threadSignals() &^
		setOf(unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, unix.SIGCHLD)).signals() {
		_ = dispose(sig, sigDfl)
	}
	for n, ok := f.notes.next(); ok; n, ok = f.notes.next() {
		if !f.isOurs(n) {
			_ = unix.Kill(os.Getpid(), n.signal()) //nolint:forbidigo // ourselves
		}
	}
	for {
		if _, err := receive(f.sock); err != nil {
			break
		}
	}
	f.waitSupervisor()
}

// complain prints an error of ours. Stderr is written to raw: os.Stderr may put
// the shared open file into another mode.
func complain(err error) {
	_, _ = unix.Write(2, []byte(program+": "+err.Error()+"\n"))
}
