package front

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

// limit is the deadline of every wait for an event, and of every process under test.
const limit = 2 * time.Minute

// The test binary is also the program under test ("run") and the programs around
// it: "launch" sets up a birth and executes, "signals" tells what it is sent.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run":
			os.Exit(run(os.Args[2:]))
		case string(role.Supervisor):
			os.Exit(Supervise(os.Args[2:], openPlain))
		case string(role.Init):
			os.Exit(Init())
		case "launch":
			launch(os.Args[2:])
		case "signals":
			tellSignals()
		case "echo":
			echo()
		}
	}
	os.Exit(m.Run())
}

// run takes --wait=all and words for openPlain, then COMMAND.
func run(args []string) int {
	var opts Options
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		if args[0] == "--wait=all" {
			opts.WaitAll = true
		} else {
			opts.Config = append(opts.Config, args[0])
		}
		args = args[1:]
	}
	opts.Command = args
	return Main(opts)
}

// openPlain is a supervisor that supervises nothing. --take=FD keeps FD from
// COMMAND and writes a line to it when COMMAND has ended; --fail fails.
func openPlain(config []string, inherited *Inherited) (Hooks, error) {
	hooks := Hooks{Start: forkOnThread}
	for _, word := range config {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "--take":
			fd, err := strconv.Atoi(value)
			if err != nil {
				return hooks, err
			}
			file, err := inherited.Take(fd)
			if err != nil {
				return hooks, err
			}
			hooks.Ended = func() { _, _ = file.WriteString("taken\n") }
		case "--protect":
			hooks.Protect = true
		case "--fail":
			return hooks, fmt.Errorf("open the hooks: %w", unix.EBUSY)
		}
	}
	return hooks, nil
}

// forkOnThread forks as the thread with the filter does.
func forkOnThread(fork Fork) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		var stay func()
		pid, stay, err = fork(nil)
		close(done)
		if err == nil {
			stay()
		}
	}()
	<-done
	return pid, err
}

// launch executes a program born in a certain way:
// block=HEX ignore=HEX close=FD dup=FD nofile=N sigpending=N env=WORD... -- PROGRAM [ARG...]
func launch(args []string) {
	runtime.LockOSThread()
	env := os.Environ()
	var mask sigset
	for args[0] != "--" {
		name, value, _ := strings.Cut(args[0], "=")
		n, _ := strconv.ParseUint(value, 16, 64)
		switch name {
		case "block":
			mask = sigset(n)
		case "ignore":
			for _, sig := range (sigset(n) &^ setOf(unix.SIGKILL, unix.SIGSTOP)).signals() {
				check(dispose(sig, sigIgn))
			}
		case "close":
			check(unix.Close(int(n)))
		case "dup":
			check(unix.Dup3(1, int(n), 0))
		case "nofile":
			check(syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: 4096}))
		case "sigpending":
			check(unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: n, Max: n}))
		case "umask":
			unix.Umask(int(n))
		case "env":
			env = append(env, value)
		}
		args = args[1:]
	}
	setMask(mask)
	check(unix.Exec(args[1], args[1:], env))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// tellSignals prints what it is sent, one line each: signal, si_code, si_pid,
// si_value. It ends at signal 64, and with status 9 at 62.
func tellSignals() {
	runtime.LockOSThread()
	setMask(everything)
	var pipe [2]int
	check(unix.Pipe2(pipe[:], unix.O_CLOEXEC))
	check(catchAll(everything, pipe[1]))
	check(routeToOneThread())
	fmt.Println("ready", os.Getpid(), os.Getppid())
	for {
		var n note
		_, err := unix.Read(pipe[0], n[:])
		if err == unix.EINTR {
			continue
		}
		check(err)
		switch n.signal() {
		case 64:
			os.Exit(0)
		case 62:
			os.Exit(9)
		}
		if n.code() != siTkill || int(n.pid()) != os.Getpid() { // the runtime's SIGURG
			fmt.Println(int(n.signal()), n.code(), n.pid(), n.int32At(24))
		}
	}
}

// echo prints the lines it reads and, as "mark", each SIGUSR1, stops and ends by
// signals as any program, and ends with its input.
func echo() {
	marks := make(chan os.Signal, 1)
	signal.Notify(marks, unix.SIGUSR1)
	go func() {
		for range marks {
			fmt.Println("mark")
		}
	}()
	fmt.Println("ready", os.Getppid())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	os.Exit(0)
}

// running is a process under test, with its standard streams in our hands.
type running struct {
	*exec.Cmd
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	err bytes.Buffer
}

func self() string { return "/proc/self/exe" }

// testBinary is the path of the test binary, for programs that are not our child.
func testBinary(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the test binary in a process group of its own.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	return startAs(t, &syscall.SysProcAttr{Setpgid: true}, args...)
}

func startAs(t *testing.T, attr *syscall.SysProcAttr, args ...string) *running {
	t.Helper()
	s := &running{t: t, Cmd: exec.Command(self(), args...)}
	s.SysProcAttr = attr
	s.Stderr = &s.err
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = unix.Kill(-s.Process.Pid, unix.SIGKILL) })
	t.Cleanup(func() { timer.Stop() })
	return s
}

func (s *running) line() string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		s.t.Fatalf("read a line: %v (stderr: %q)", err, s.err.String())
	}
	return strings.TrimSuffix(line, "\n")
}

// status waits for the end and returns what a shell would show.
func (s *running) status() int {
	_ = s.Wait()
	ws := s.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 1000 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// waitGone waits for the end of a process that need not be our child.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	fd := pidfdOf(t, pid)
	if fd >= 0 && !readable(fd, limit) {
		t.Fatalf("process %d has not ended", pid)
	}
}

// pidfdOf returns -1 for a process that has ended. The test closes it at its end.
func pidfdOf(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return -1
	}
	if err != nil {
		t.Fatalf("pidfd_open %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

func parentOf(pid int) (int, error) {
	e, err := entryOf(pid)
	if err != nil {
		return 0, err
	}
	s, err := e.status()
	return s.parent.number(), err
}
