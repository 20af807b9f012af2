package front

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// terminal is a pseudo-terminal with a session in it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   []byte // output that expect has not consumed
}

// newTerminal runs the program as the leader of a session of its own.
func newTerminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	_ = raw.Control(func(fd uintptr) {
		check(unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0))
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		check(err)
	})
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(os.Environ(), "PS1=", "TERM=dumb", "INPUTRC=/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &terminal{t: t, master: master, cmd: cmd}
}

// newShell runs an interactive shell that does not echo what is typed.
func newShell(t *testing.T) *terminal {
	t.Helper()
	term := newTerminal(t, "bash", "--norc", "--noprofile", "--noediting", "-i")
	term.typeIn("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
	term.expect("shell\r\n")
	return term
}

func (term *terminal) typeIn(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// expect reads until want, and returns what came before it.
func (term *terminal) expect(want string) (before string) {
	term.t.Helper()
	check(term.master.SetReadDeadline(time.Now().Add(limit)))
	buffer := make([]byte, 4096)
	for {
		if i := bytes.Index(term.seen, []byte(want)); i >= 0 {
			before = string(term.seen[:i])
			term.seen = term.seen[i+len(want):]
			return before
		}
		n, err := term.master.Read(buffer)
		if err != nil {
			term.t.Fatalf("want %q: %v, after %q", want, err, term.seen)
		}
		term.seen = append(term.seen, buffer[:n]...)
	}
}

func (term *terminal) status() int {
	term.t.Helper()
	_ = term.cmd.Wait()
	return term.cmd.ProcessState.ExitCode()
}

const ctrlC, ctrlD, ctrlZ = "\x03", "\x04", "\x1a"

// TestTerminalSignalsOnce: what the terminal sends to the group, COMMAND gets once
// and from the kernel.
func TestTerminalSignalsOnce(t *testing.T) {
	term := newTerminal(t, self(), "run", testBinary(t), "signals")
	term.expect("ready")
	term.expect("\r\n")
	term.typeIn(ctrlC)
	term.expect("2 128 0 0\r\n")
	raw, err := term.master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		check(unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 44}))
	})
	term.expect("28 128 0 0\r\n")
	term.typeIn("\x1c")
	term.expect("3 128 0 0\r\n")
	check(unix.Kill(term.cmd.Process.Pid, unix.SIGUSR1))
	if extra := strings.ReplaceAll(term.expect(fmt.Sprintf("10 -1 %d 0\r\n", os.Getpid())), "^\\", ""); extra != "" {
		t.Errorf("COMMAND got %q on top", extra)
	}
	check(unix.Kill(term.cmd.Process.Pid, 64))
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestHangup: a session leader's SIGHUP is COMMAND's, which is not the leader.
func TestHangup(t *testing.T) {
	// env, for whoever runs us under nohup.
	term := newTerminal(t, "env", "--default-signal=HUP", testBinary(t), "run", "sh", "-c", "trap 'exit 42' HUP; echo ready; while :; do read x || :; done")
	term.expect("ready")
	term.master.Close()
	if got := term.status(); got != 42 {
		t.Errorf("status %d, want 42", got)
	}
}

// settle returns when the front has dealt with all that came before. A key pressed
// within the millisecond that it may need after fg can meet it half way: it then
// stops with the terminal's signal, before COMMAND does, and the SIGCONT that the
// supervisor owes it for the fg ends that stop. Nobody types so fast; a test does.
func (term *terminal) settle(front int) {
	term.t.Helper()
	check(unix.Kill(front, unix.SIGUSR1))
	term.expect("mark\r\n")
}

// TestJobControl: ^Z, fg and bg of `run` itself in an interactive shell.
func TestJobControl(t *testing.T) {
	term := newShell(t)
	term.typeIn("$T run $T echo; echo st''atus=$?\n")
	term.expect("ready ")
	var supervisor int
	if _, err := fmt.Sscan(term.expect("\r\n"), &supervisor); err != nil {
		t.Fatal(err)
	}
	front, err := parentOf(supervisor)
	if err != nil {
		t.Fatal(err)
	}
	term.typeIn("one\n")
	term.expect("one\r\n")
	for range 3 {
		term.settle(front)
		term.typeIn(ctrlZ)
		term.expect("Stopped")
		term.expect(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
		term.typeIn("echo sh''ell\n")
		term.expect("shell\r\n")
		term.typeIn("fg; echo st''atus=$?\n")
		term.expect("$T echo\r\n")
		term.typeIn("two\n")
		term.expect("two\r\n")
	}
	term.settle(front)
	term.typeIn(ctrlZ)
	term.expect("Stopped")
	term.expect(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
	term.typeIn("bg; wait %1; echo b''g=$?\n") // it reads from the terminal: SIGTTIN stops the job again
	term.expect(fmt.Sprintf("bg=%d\r\n", 128+unix.SIGTTIN))
	term.typeIn("fg; echo un''reached\n") // as natively: a list ends when ^C ends one of it
	term.expect("$T echo\r\n")
	term.typeIn("three\n")
	term.expect("three\r\n")
	term.settle(front)
	term.typeIn(ctrlC)
	term.expect("\r\n") // the shell's: it is back, and reads what is typed from here on
	term.typeIn("echo fg''=$?\n")
	term.expect("fg=130")
	term.typeIn("$T run false; echo st''atus=$?\n")
	term.expect("status=1\r\n")
	term.typeIn("exit 0\n")
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestKillJob: the shell's kill goes to the group.
func TestKillJob(t *testing.T) {
	term := newShell(t)
	term.typeIn("$T run $T signals &\n")
	term.expect("ready")
	term.expect("\r\n")
	term.typeIn("kill -USR2 %1\n")
	term.expect("12 0 ")
	term.typeIn("kill -USR1 $!\n")
	if extra := term.expect("10 -1 "); strings.Contains(extra, "\n12 ") {
		t.Errorf("COMMAND got %q on top", extra)
	}
	term.typeIn("kill -s RTMAX $!; wait %1; echo st''atus=$?; exit\n")
	term.expect("status=0")
}

// TestInteractiveShellAsCommand: it has job control of its own, in groups that are
// not the front's; and the front stops with it.
func TestInteractiveShellAsCommand(t *testing.T) {
	term := newShell(t)
	term.typeIn("$T run bash --norc --noprofile --noediting -i; echo ou''ter=$?\n")
	term.typeIn("PS1='in''> '\n")
	term.expect("in> ")
	term.typeIn("cat; echo ca''t=$?\n")
	term.typeIn("one\n")
	term.expect("one\r\n")
	term.typeIn(ctrlZ)
	term.expect("Stopped")
	term.expect("cat=148")
	term.typeIn("fg\n")
	term.typeIn("two\n")
	term.expect("two\r\n")
	term.typeIn(ctrlC) // cat dies of it, so that bash drops the rest of its line
	term.expect("in> ")
	term.typeIn("echo fg''=$?\n")
	term.expect("fg=130")
	term.typeIn("suspend\n")
	term.expect("Stopped")
	term.expect("outer=147")
	term.typeIn("fg; echo ou''ter=$?\n")
	term.typeIn("echo in''ner=$PPID\n")
	term.expect("inner=")
	term.typeIn("exit 3\n")
	term.expect("outer=3")
	term.typeIn("stty size >/dev/null && exit 5\n") // the terminal is the outer shell's again
	if got := term.status(); got != 5 {
		t.Errorf("status %d, want 5", got)
	}
}

// TestOrphanedGroup: a session leader's group has nobody to continue it. There ^Z
// does nothing, as without us, and reading in the background fails.
func TestOrphanedGroup(t *testing.T) {
	term := newTerminal(t, self(), "run", "sh", "-c", "echo up; exec cat")
	term.expect("up\r\n")
	term.typeIn(ctrlZ + "line\n")
	term.expect("line\r\n")
	term.expect("line\r\n") // the echo, and cat's
	term.typeIn(ctrlD)
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestStoppedJobIsHungUp: when its shell ends, a stopped job has nobody to continue it,
// and gets SIGHUP and SIGCONT.
func TestStoppedJobIsHungUp(t *testing.T) {
	for name, end := range map[string]func(term *terminal){
		"killed":   func(term *terminal) { check(term.cmd.Process.Kill()) },
		"terminal": func(term *terminal) { term.master.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			// dash hangs nobody up itself. env, for whoever runs us under nohup.
			term := newTerminal(t, "env", "--default-signal=HUP", "dash", "-i")
			term.typeIn("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
			term.expect("shell\r\n")
			term.typeIn("$T run sh -c 'echo up $$ $PPID; exec cat'\n")
			var command, supervisor int
			term.expect("up ")
			if _, err := fmt.Sscan(term.expect("\r\n"), &command, &supervisor); err != nil {
				t.Fatal(err)
			}
			front, err := parentOf(supervisor)
			if err != nil {
				t.Fatal(err)
			}
			fds := []int{pidfdOf(t, command), pidfdOf(t, front), pidfdOf(t, supervisor)}
			term.typeIn(ctrlZ)
			term.expect("Stopped")
			end(term)
			for i, fd := range fds {
				if !readable(fd, limit) {
					t.Errorf("process %d of 3 (COMMAND, front, supervisor) lives on", i+1)
				}
			}
		})
	}
}

// TestOuterProc: in a pid namespace that sees the procfs of the one around it.
func TestOuterProc(t *testing.T) {
	newNamespace(t)
	// The namespace's init is a session's leader inside, and the shell's parent.
	term := newTerminal(t, "unshare", "--pid", "--fork", "bash", "--norc", "--noprofile", "--noediting", "-i")
	term.typeIn("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
	term.expect("shell\r\n")
	term.typeIn("$T run $T echo; echo st''atus=$?\n")
	term.expect("ready ")
	term.expect("\r\n")
	front := childOf(t, childOf(t, term.cmd.Process.Pid)) // numbers of inside are none here
	for range 3 {
		term.typeIn("line\n")
		term.expect("line\r\n")
		term.settle(front)
		term.typeIn(ctrlZ)
		term.expect(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
		term.typeIn("fg; echo st''atus=$?\n")
		term.expect("$T echo\r\n")
		term.typeIn("again\n")
		term.expect("again\r\n")
	}
	term.typeIn(ctrlD)
	term.expect("status=0")
	term.typeIn("PS1='p''s1 '; $T run $T echo\n")
	term.expect("ready ")
	term.typeIn(ctrlC)
	term.expect("ps1 ")
	term.typeIn("echo st''atus=$?\n")
	term.expect("status=130")
	// A parent sees SIGSTOP.
	term.typeIn("$T run sh -c 'kill -STOP $$; exit 7'; echo st''atus=$?\n")
	term.expect(fmt.Sprintf("status=%d", 128+unix.SIGSTOP))
	term.typeIn("fg; echo st''atus=$?\n")
	term.expect("status=7")
	term.typeIn("exit 5\n")
	if got := term.status(); got != 5 {
		t.Errorf("status %d, want 5", got)
	}
}

// childOf is the one child of a process with a single thread.
func childOf(t *testing.T, pid int) (child int) {
	t.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(list), &child); err != nil {
		t.Fatalf("children of process %d: %v: %q", pid, err, list)
	}
	return child
}

// TestForeignGroup: where the front's group is that of a process outside of its pid
// namespace, and has no number there, COMMAND is in it all the same.
func TestForeignGroup(t *testing.T) {
	newNamespace(t)
	term := newTerminal(t, "unshare", "--pid", "--fork", testBinary(t), "run", "sh", "-c", "echo up; cat; exit 6")
	term.expect("up\r\n")
	term.typeIn("line\n")
	term.expect("line\r\n")
	term.expect("line\r\n") // the echo, and cat's
	term.typeIn(ctrlD)
	if got := term.status(); got != 6 {
		t.Errorf("status %d, want 6", got)
	}
}

func newNamespace(t *testing.T) {
	t.Helper()
	out, err := exec.Command("unshare", "--pid", "--fork", "true").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("unshare --pid: %w: %s", err, out)
	}
	skip.If(t, err)
}

// TestOwnGroup: timeout makes a group of its own, which natively is the shell's job.
func TestOwnGroup(t *testing.T) {
	term := newShell(t)
	term.typeIn("PS1='p''s1 '; $T run timeout 100 sh -c 'echo u''p; exec cat'\n")
	term.expect("up\r\n")
	term.typeIn("one\n")
	term.expect("one\r\n")
	term.typeIn(ctrlZ)
	term.expect("Stopped")
	term.expect("ps1 ")
	term.typeIn("fg\n")
	term.expect("exec cat'\r\n")
	term.typeIn("two\n")
	term.expect("two\r\n")
	term.typeIn(ctrlC)
	term.expect("ps1 ")
	term.typeIn("echo st''atus=$?\n")
	term.expect("status=130")
}

// TestOwnGroupLate: a group that is made when the front has long stopped to expect it,
// by who then stops for the terminal itself.
func TestOwnGroupLate(t *testing.T) {
	term := newShell(t)
	term.typeIn("PS1='p''s1 '; $T run bash --norc -c 'read x; echo $x; set -m; exec timeout 100 cat'\n")
	term.typeIn("go\n")
	term.expect("go\r\n")
	term.typeIn("one\n")
	term.expect("one\r\n")
	term.typeIn(ctrlD)
	term.expect("ps1 ")
	term.typeIn("echo st''atus=$?\n")
	term.expect("status=0")
}

// TestOwnSession: natively setsid forks, and what waits in the job is a process with
// no handlers.
func TestOwnSession(t *testing.T) {
	term := newShell(t)
	term.typeIn("PS1='p''s1 '; $T run setsid --wait sh -c 'trap \"\" HUP; echo up $$; exec sleep 1000'\n")
	term.expect("up ")
	var command int
	if _, err := fmt.Sscan(term.expect("\r\n"), &command); err != nil {
		t.Fatal(err)
	}
	term.typeIn(ctrlC)
	term.expect("ps1 ")
	term.typeIn("echo st''atus=$?\n")
	term.expect("status=130")
	if err := unix.Kill(command, unix.SIGKILL); err != nil {
		t.Errorf("COMMAND has ended with the front: %v", err)
	}
}
