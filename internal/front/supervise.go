package front

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hooks are what a supervisor does about system calls.
type Hooks struct {
	// Start calls fork once, on a thread prepared for it, and returns what fork
	// returned, or why it was not called. Any error but fork's own is ours (125).
	// The thread then calls stay, and ends when that returns.
	Start func(fork Fork) (pid int, err error)
	// Ended, if not nil, is called when COMMAND has ended and before the front
	// says so to the shell: what was written about COMMAND is to be on its way.
	Ended func()
	// Reap, if not nil, calls take to take an event of a child: threads of the supervisor
	// trace processes, which can be its children.
	Reap func(pid int, take func())
	// Alone, if not nil, is called when COMMAND, or after it another child, has ended: it
	// ends the children that the supervisor has for itself, so that those left are
	// COMMAND's.
	Alone func()
	// Wait, if not nil, returns when nobody is left to serve. It is called after
	// the last descendant has been reaped, and the supervisor ends after it.
	Wait func() error
	// KeepStderr leaves descriptor 2 open after the end of COMMAND, for a trace of
	// what it left behind. A pipe that stderr goes to then stays open, too.
	KeepStderr bool
	// Protect puts COMMAND into a pid namespace of its own: see enclose.go.
	Protect bool
}

// Open makes the hooks from Options.Config. It is called before anything of
// COMMAND exists, and takes from inherited what COMMAND is not to get. All it
// opens itself is close-on-exec.
type Open func(config []string, inherited *Inherited) (Hooks, error)

// supervisor is the process beside the front.
type supervisor struct {
	orders
	Hooks
	inherited *Inherited
	inside    *enclosure // nil without Protect
	command   *command
	sentinel  *groupSentinel // in the front's group; nil where COMMAND leads no session
	parent    *parent        // the thread that has forked COMMAND
	group     int            // the front's process group: 0 where it has no number here
	shell     *handle        // the front
	mirrored  bool           // the front was told to stop, once at least

	stoppedFront atomic.Bool // it was told so last
}

// Supervise is the role of the supervisor.
// It returns the exit status of the supervisor, which only a front reads.
//
// Precondition: called from the main goroutine, before any child was started.
func Supervise(args []string, open Open) int {
	runtime.LockOSThread() // the filter's thread must be another, which can end
	words, err := parseOrders(args)
	if err != nil {
		complain(err)
		return ourFailure
	}
	s := &supervisor{orders: words}
	if err := s.start(open); err != nil {
		complain(err)
		status := statusOf(err)
		_ = message{failed, int32(status)}.send(s.sock)
		return status
	}
	if err := s.serve(); err != nil {
		complain(err)
		return ourFailure
	}
	return 0
}

// start starts COMMAND. What needs /proc/self comes before PR_SET_DUMPABLE, which
// makes it root's.
func (s *supervisor) start(open Open) (err error) {
	env := environment()
	if s.inherited, err = inherited(); err != nil {
		return err
	}
	s.inherited.Blocked = uint64(s.mask)
	if err := s.inherited.own(s.sock); err != nil {
		return fmt.Errorf("find the front: %w", err)
	}
	if err := s.settle(); err != nil {
		return err
	}
	if s.Hooks, err = open(s.config, s.inherited); err != nil {
		return err
	}
	if s.shell, err = holdParent(s.front); err != nil {
		return err
	}
	if err := s.notice(); err != nil {
		return err
	}
	s.group = unix.Getpgrp()
	if err := s.makeSession(); err != nil {
		return err
	}
	if err := catchOnce(interrupting); err != nil {
		return err
	}
	spawner := &spawner{birth: s.birth, argv: s.orders.command, env: env, enclosed: s.Protect}
	pid, err := s.Start(func(attr *syscall.SysProcAttr) (int, func(), error) {
		pid, err := s.fork(spawner, attr)
		if err != nil {
			return 0, nil, err
		}
		return pid, s.parent.stay, nil
	})
	if err != nil {
		s.inside.leave()
		return err
	}
	if err := s.noticeAgain(); err != nil {
		return err
	}
	s.command = &command{pid: pid, reap: s.Reap, whose: unix.WNOTHREAD}
	return s.leave()
}

// fork starts COMMAND on the calling thread. It is born into the front's group, which may
// have no number here by which it could join it (a new pid namespace): so this process is
// in that group until then, and is stopped and continued with it.
func (s *supervisor) fork(spawner *spawner, attr *syscall.SysProcAttr) (pid int, err error) {
	if s.Protect {
		if s.inside, err = enclose(); err != nil {
			return 0, fmt.Errorf("--protect-supervisor: %w", err)
		}
	}
	whose := 0
	if s.Reap != nil {
		whose = unix.WNOTHREAD
	}
	if s.parent, err = newParent(whose); err != nil {
		return 0, err
	}
	if err := s.announce(); err != nil {
		return 0, err
	}
	if s.sentinel != nil {
		attr = inSession(attr, s.terminal)
	}
	pid, err = spawner.fork(attr)
	s.parent.child = pid
	return pid, err
}

// settle makes this a process that no signal, terminal or debugger troubles.
func (s *supervisor) settle() error {
	// exec through /proc/self/exe has named us "exe".
	_ = os.WriteFile("/proc/self/comm", []byte(program), 0)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_DUMPABLE)", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	// Every signal is blocked by birth; these handlers drop what comes through
	// while fork has COMMAND's mask set, and what the runtime unblocks.
	return catchAll(everything&^threadSignals()&^setOf(unix.SIGURG), 0)
}

// announce tells the front that COMMAND comes next: from here on a signal that
// the whole group got is COMMAND's own.
func (s *supervisor) announce() error {
	if err := (message{kind: starting}).send(s.sock); err != nil {
		return err
	}
	var answer [passedSize]byte
	return receivePacket(s.sock, answer[:])
}

// leave tells the front, and lets go of what is COMMAND's.
func (s *supervisor) leave() error {
	if err := (message{started, int32(s.command.pid)}).send(s.sock); err != nil {
		s.frontDied() // already: COMMAND may have children by now
	}
	signal.Ignore(unix.SIGPIPE) // os.File dies of EPIPE on 1 and 2 otherwise
	s.inherited.close()
	s.outlast()
	return s.standApart()
}

// outlast has the kernel choose COMMAND's processes before ours where memory runs out
// (proc_pid_oom_score_adj(5)): many small ones in one control group made it choose us. COMMAND
// has been started with what was inherited. Below what it was set to by privilege it cannot be
// had without.
func (s *supervisor) outlast() {
	for _, pid := range []int{os.Getpid(), s.front} {
		path := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
		text, err := os.ReadFile(path)
		now, wrong := strconv.Atoi(strings.TrimSpace(string(text)))
		for _, lower := range []int{-900, 0} {
			if err != nil || wrong != nil || now <= lower || os.WriteFile(path, strconv.AppendInt(nil, int64(lower), 10), 0) == nil {
				break
			}
		}
	}
}
