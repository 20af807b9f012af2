package front

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

// enclosure is the pid namespace that COMMAND gets under Hooks.Protect, as the
// supervisor has it. From inside no process outside has a number, so that none can
// be signalled; what else names a process (a descriptor somebody hands out, another
// mount namespace) is of no use without CAP_SYS_PTRACE, which nobody inside has.
//
// COMMAND is not its init, whose signals are not like others, but stays the
// supervisor's child: exit, stops and the signals passed on go as without it. The
// init is a process of ours that reaps the orphans: see inside.go.
type enclosure struct {
	init  int // its pid, our child
	alive int // closed once COMMAND has been reaped: the init may end
	said  int // what the init says, its end included
	told  bool
}

// enclose has the calling thread fork into a new pid namespace from now on, with
// mounts of its own in which /proc is that namespace's.
//
// Precondition: the thread forks COMMAND and then ends; none of the runtime's own
// threads starts from it (it is locked).
func enclose() (*enclosure, error) {
	dir, err := procDirectory()
	if err != nil {
		return nil, err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWPID); err != nil {
		return nil, explainUnshare(err)
	}
	// What is mounted from here on is nobody else's, and what is taken away stays there
	// for others.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make the mounts private: %w%s", err, hintIf(err, unix.EINVAL,
			": the root directory is no mount (a chroot): mount --bind it onto itself first"))
	}
	if err := dropTracing(); err != nil {
		return nil, err
	}
	e, err := startInit()
	if err != nil {
		return nil, err
	}
	if err := e.settled(); err != nil {
		e.leave()
		return nil, err
	}
	if dir == "" {
		return e, nil
	}
	if err := unix.Chdir(dir); err != nil { // the old one is in the outer /proc
		e.leave()
		return nil, fmt.Errorf("enter %s in the new /proc: %w", dir, err)
	}
	return e, nil
}

func explainUnshare(err error) error {
	return fmt.Errorf("make a pid namespace: %w%s", os.NewSyscallError("unshare", err), hintIf(err, unix.EPERM,
		": it takes CAP_SYS_ADMIN: run as root, or without --protect-supervisor, where COMMAND "+
			"can kill the supervisor, but neither trace nor read it"))
}

func hintIf(err error, is unix.Errno, hint string) string {
	if errors.Is(err, is) {
		return hint
	}
	return ""
}

// procDirectory is the working directory if it is in a procfs, else empty.
func procDirectory() (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(".", &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		return "", nil
	}
	return os.Getwd()
}

// dropTracing takes CAP_SYS_PTRACE from the calling thread and all that it starts,
// for good: the bounding set keeps exec from giving it back. With it gone nobody may
// trace, read or take descriptors from a process that is not dumpable or has the
// capability itself (kernel/ptrace.c, __ptrace_may_access; security/commoncap.c), by
// whatever handle. Who traces processes of its own uid does not need it.
func dropTracing() error {
	has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_PTRACE, 0, 0, 0)
	if err == nil && has != 0 {
		err = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_PTRACE, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("take CAP_SYS_PTRACE from COMMAND: %w", os.NewSyscallError("prctl(PR_CAPBSET_DROP)", err))
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	const traces = 1 << unix.CAP_SYS_PTRACE
	sets[0].Effective &^= traces
	sets[0].Permitted &^= traces
	sets[0].Inheritable &^= traces
	return os.NewSyscallError("capset", unix.Capset(&header, &sets[0]))
}

// startInit starts the namespace's first process. Its two descriptors are pipes: a
// socket would name us to who takes it (SO_PEERPIDFD).
func startInit() (*enclosure, error) {
	var alive, said [2]int
	if err := unix.Pipe2(alive[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.Pipe2(said[:], unix.O_CLOEXEC); err != nil {
		closeAll(alive[:]...)
		return nil, os.NewSyscallError("pipe2", err)
	}
	defer closeAll(alive[0], said[1])
	none := ^uintptr(0)
	pid, err := syscall.ForkExec(selfExe, []string{program, string(role.Init)}, &syscall.ProcAttr{
		Env:   []string{},
		Files: []uintptr{none, none, none, uintptr(alive[0]), uintptr(said[1])},
		// A session of its own: natively, too, an orphan's new parent is in another.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		closeAll(alive[1], said[0])
		return nil, fmt.Errorf("start the namespace's init: %w", err)
	}
	return &enclosure{init: pid, alive: alive[1], said: said[0]}, nil
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// settled waits until the init has made the namespace ready.
func (e *enclosure) settled() error {
	text, err := e.hear()
	switch {
	case err != nil:
		return fmt.Errorf("start the namespace's init: %w", err)
	case text != initReady:
		return errors.New(text)
	}
	return nil
}

// initPatience is for a process of ours that does little; one that hangs was
// tampered with, and is not waited for.
const initPatience = 10 * time.Second

// hear is what the init says next: io.EOF if it has ended.
func (e *enclosure) hear() (string, error) {
	if !readable(e.said, initPatience) {
		return "", errors.New("it does not answer")
	}
	var text [4096]byte
	for {
		n, err := unix.Read(e.said, text[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", os.NewSyscallError("read", err)
		case n == 0:
			return "", io.EOF
		default:
			return string(text[:n]), nil
		}
	}
}

// leave tells the init that it may end, and waits for that, unless it says that
// others are left: then it ends after them. The init is not reaped here.
func (e *enclosure) leave() {
	if e == nil || e.told {
		return
	}
	e.told = true
	closeAll(e.alive)
	if _, err := e.hear(); errors.Is(err, io.EOF) {
		_ = unix.Waitid(unix.P_PID, e.init, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	closeAll(e.said)
}
