package front

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front/internal/execstate"
)

// Fork starts COMMAND from the calling goroutine's thread, adding to attr (nil is
// as good as an empty one) what the front wants. Descriptors go by inheritance. stay
// returns when the thread may end: COMMAND is to find its parent alive.
type Fork func(attr *syscall.SysProcAttr) (pid int, stay func(), err error)

// spawner starts COMMAND as the front's process would have become it.
type spawner struct {
	birth
	argv []string

	enclosed bool // into a pid namespace of its own
	env      []string
}

// execError is COMMAND's own: 126 or 127, not 125.
type execError struct {
	name string
	err  error
}

// Error implements error.
func (e *execError) Error() string {
	if errors.Is(e.err, unix.ENOENT) && !strings.Contains(e.name, "/") {
		return fmt.Sprintf("run %s: command not found", e.name)
	}
	return fmt.Sprintf("run %s: %v", e.name, e.err)
}

// Unwrap is what errors.Is and errors.As look into.
func (e *execError) Unwrap() error { return e.err }

// status is 127 for what is not there and 126 for what cannot be executed.
func (e *execError) status() int {
	if errors.Is(e.err, unix.ENOENT) {
		return 127
	}
	return 126
}

func statusOf(err error) int {
	var exec *execError
	if errors.As(err, &exec) {
		return exec.status()
	}
	return ourFailure
}

// fork goes through PATH as execvp(3) does: what cannot be executed is passed
// over for what comes later, and reported if nothing does.
func (s *spawner) fork(attr *syscall.SysProcAttr) (int, error) {
	last := error(unix.ENOENT)
	for _, path := range s.candidates() {
		pid, err := s.try(path, attr)
		switch {
		case err == nil:
			return pid, nil
		case isAny(err, unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE):
			return 0, fmt.Errorf("fork: %w", err)
		case errors.Is(err, unix.EACCES):
			last = err
		case !isAny(err, unix.ENOENT, unix.ENOTDIR, unix.ESTALE, unix.ENODEV, unix.ETIMEDOUT),
			strings.Contains(s.argv[0], "/"):
			return 0, &execError{s.argv[0], err}
		}
	}
	return 0, &execError{s.argv[0], last}
}

// try executes path, by the shell if the kernel does not know what it is.
func (s *spawner) try(path string, attr *syscall.SysProcAttr) (int, error) {
	pid, err := s.exec(path, s.argv, attr)
	if errors.Is(err, unix.ENOEXEC) {
		return s.exec("/bin/sh", append([]string{"/bin/sh", path}, s.argv[1:]...), attr)
	}
	return pid, err
}

// candidates are the paths to try. Those that are not there are left out, which
// saves a fork each.
func (s *spawner) candidates() (paths []string) {
	name := s.argv[0]
	if strings.Contains(name, "/") {
		return []string{name}
	}
	if name == "" {
		return nil
	}
	for _, dir := range strings.Split(searchPath(s.env), ":") {
		path := name
		if dir != "" {
			path = dir + "/" + name
		}
		var stat unix.Stat_t
		if err := unix.Stat(path, &stat); isAny(err, unix.ENOENT, unix.ENOTDIR) {
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

func searchPath(env []string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			return value
		}
	}
	return "/bin:/usr/bin" // confstr(_CS_PATH)
}

// exec forks and executes path with the mask and the ignored signals of birth.
// syscall.ForkExec gives the child the forking thread's mask, the signals that
// the runtime handles back their default, and RLIMIT_NOFILE as it was before the
// runtime raised it.
func (s *spawner) exec(path string, argv []string, attr *syscall.SysProcAttr) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if late := s.ignored & stubborn(); (late != 0 || s.limits != "") && execstate.CanExec {
		if err := unix.Access(path, unix.X_OK); err != nil {
			return 0, err
		}
		argv = append([]string{program, execstate.ExecCommand, strconv.FormatUint(uint64(late), 16), s.limits + "-", path}, argv...)
		path = selfExe
	}
	if err := s.ignore(); err != nil {
		return 0, err
	}
	defer setMask(setMask(s.startMask(attr)))
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: s.env, Files: standardFiles(s.closed), Sys: s.attributes(attr),
	})
}

// attributes adds the signal that COMMAND is born with for its parent's death. Inside a new
// pid namespace the syscall package would take the parent for dead, which has no number there.
func (s *spawner) attributes(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	if s.death == 0 || s.enclosed {
		return attr
	}
	var own syscall.SysProcAttr
	if attr != nil {
		own = *attr
	}
	own.Pdeathsig = s.death
	return &own
}

// startMask is the mask that the forked child has: COMMAND's own, but for a tracer, who
// wants exec's SIGTRAP to stop it and no other signal before; who traces sets the mask
// at that stop (Inherited.Blocked).
func (s *spawner) startMask(attr *syscall.SysProcAttr) sigset {
	if attr != nil && attr.Ptrace {
		return everything &^ setOf(unix.SIGTRAP)
	}
	return s.mask
}

// ignore ignores, in this process, what COMMAND is to inherit as ignored. Nothing
// is lost by it: the supervisor lives with every signal blocked.
func (s *spawner) ignore() error {
	for _, sig := range (s.ignored &^ stubborn() &^ setOf(unix.SIGKILL, unix.SIGSTOP)).signals() {
		signal.Ignore(sig) // the runtime no longer resets it in a child
		if err := dispose(sig, sigIgn); err != nil {
			return err
		}
	}
	return nil
}

// standardFiles keeps 0 to 2 as they are, and closed what the runtime opened.
func standardFiles(closed int) []uintptr {
	files := []uintptr{0, 1, 2}
	for i := range files {
		if closed&(1<<i) != 0 {
			files[i] = ^uintptr(0)
		}
	}
	return files
}

// environment is the environment as exec gave it: os.Environ drops the second of
// two entries with one name.
func environment() []string {
	raw, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return os.Environ()
	}
	if len(raw) == 0 {
		return nil
	}
	return execstate.Environment(strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"))
}

func isAny(err error, list ...unix.Errno) bool {
	for _, errno := range list {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
