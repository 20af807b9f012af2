package front

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/pty"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// terminal is a pseudo-terminal with a session in it.
type terminal struct{ *pty.Terminal }

// newTerminal runs the program as the leader of a session of its own.
func newTerminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PS1=", "TERM=dumb", "INPUTRC=/dev/null")
	return &terminal{pty.Start(t, limit, limit, cmd)}
}

// newShell runs an interactive shell that does not echo what is typed.
func newShell(t *testing.T) *terminal {
	t.Helper()
	term := newTerminal(t, "bash", "--norc", "--noprofile", "--noediting", "-i")
	term.Type("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
	term.Until("shell\r\n")
	return term
}

func (term *terminal) status() int {
	term.T.Helper()
	_ = term.Cmd.Wait()
	return term.Cmd.ProcessState.ExitCode()
}

// TestTerminalSignalsOnce: what the terminal sends to the group, COMMAND gets once
// and from the kernel.
func TestTerminalSignalsOnce(t *testing.T) {
	term := newTerminal(t, self(), "run", testBinary(t), "signals")
	term.Until("ready")
	term.Until("\r\n")
	term.Type(pty.CtrlC)
	term.Until("2 128 0 0\r\n")
	raw, err := term.Master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		check(unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 44}))
	})
	term.Until("28 128 0 0\r\n")
	term.Type("\x1c")
	term.Until("3 128 0 0\r\n")
	check(unix.Kill(term.Cmd.Process.Pid, unix.SIGUSR1))
	if extra := strings.ReplaceAll(term.Until(fmt.Sprintf("10 -1 %d 0\r\n", os.Getpid())), "^\\", ""); extra != "" {
		t.Errorf("COMMAND got %q on top", extra)
	}
	check(unix.Kill(term.Cmd.Process.Pid, 64))
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestHangup: a session leader's SIGHUP is COMMAND's, which is not the leader.
func TestHangup(t *testing.T) {
	// env, for whoever runs us under nohup.
	term := newTerminal(t, "env", "--default-signal=HUP", testBinary(t), "run", "sh", "-c", "trap 'exit 42' HUP; echo ready; while :; do read x || :; done")
	term.Until("ready")
	term.Master.Close()
	if got := term.status(); got != 42 {
		t.Errorf("status %d, want 42", got)
	}
}

// settle returns when the front has dealt with all that came before. A key pressed
// within the millisecond that it may need after fg can meet it half way: it then
// stops with the terminal's signal, before COMMAND does, and the SIGCONT that the
// supervisor owes it for the fg ends that stop. Nobody types so fast; a test does.
func (term *terminal) settle(front int) {
	term.T.Helper()
	check(unix.Kill(front, unix.SIGUSR1))
	term.Until("mark\r\n")
}

// TestJobControl: ^Z, fg and bg of `run` itself in an interactive shell.
func TestJobControl(t *testing.T) {
	term := newShell(t)
	term.Type("$T run $T echo; echo st''atus=$?\n")
	term.Until("ready ")
	var supervisor int
	if _, err := fmt.Sscan(term.Until("\r\n"), &supervisor); err != nil {
		t.Fatal(err)
	}
	front, err := parentOf(supervisor)
	if err != nil {
		t.Fatal(err)
	}
	term.Type("one\n")
	term.Until("one\r\n")
	for range 3 {
		term.settle(front)
		term.Type(pty.CtrlZ)
		term.Until("Stopped")
		term.Until(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
		term.Type("echo sh''ell\n")
		term.Until("shell\r\n")
		term.Type("fg; echo st''atus=$?\n")
		term.Until("$T echo\r\n")
		term.Type("two\n")
		term.Until("two\r\n")
	}
	term.settle(front)
	term.Type(pty.CtrlZ)
	term.Until("Stopped")
	term.Until(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
	term.Type("bg; wait %1; echo b''g=$?\n") // it reads from the terminal: SIGTTIN stops the job again
	term.Until(fmt.Sprintf("bg=%d\r\n", 128+unix.SIGTTIN))
	term.Type("fg; echo un''reached\n") // as natively: a list ends when ^C ends one of it
	term.Until("$T echo\r\n")
	term.Type("three\n")
	term.Until("three\r\n")
	term.settle(front)
	term.Type(pty.CtrlC)
	term.Until("\r\n") // the shell's: it is back, and reads what is typed from here on
	term.Type("echo fg''=$?\n")
	term.Until("fg=130")
	term.Type("$T run false; echo st''atus=$?\n")
	term.Until("status=1\r\n")
	term.Type("exit 0\n")
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestKillJob: the shell's kill goes to the group.
func TestKillJob(t *testing.T) {
	term := newShell(t)
	term.Type("$T run $T signals &\n")
	term.Until("ready")
	term.Until("\r\n")
	term.Type("kill -USR2 %1\n")
	term.Until("12 0 ")
	term.Type("kill -USR1 $!\n")
	if extra := term.Until("10 -1 "); strings.Contains(extra, "\n12 ") {
		t.Errorf("COMMAND got %q on top", extra)
	}
	term.Type("kill -s RTMAX $!; wait %1; echo st''atus=$?; exit\n")
	term.Until("status=0")
}

// TestInteractiveShellAsCommand: it has job control of its own, in groups that are
// not the front's; and the front stops with it.
func TestInteractiveShellAsCommand(t *testing.T) {
	term := newShell(t)
	term.Type("$T run bash --norc --noprofile --noediting -i; echo ou''ter=$?\n")
	term.Type("PS1='in''> '\n")
	term.Until("in> ")
	term.Type("cat; echo ca''t=$?\n")
	term.Type("one\n")
	term.Until("one\r\n")
	term.Type(pty.CtrlZ)
	term.Until("Stopped")
	term.Until("cat=148")
	term.Type("fg\n")
	term.Type("two\n")
	term.Until("two\r\n")
	term.Type(pty.CtrlC) // cat dies of it, so that bash drops the rest of its line
	term.Until("in> ")
	term.Type("echo fg''=$?\n")
	term.Until("fg=130")
	term.Type("suspend\n")
	term.Until("Stopped")
	term.Until("outer=147")
	term.Type("fg; echo ou''ter=$?\n")
	term.Type("echo in''ner=$PPID\n")
	term.Until("inner=")
	term.Type("exit 3\n")
	term.Until("outer=3")
	term.Type("stty size >/dev/null && exit 5\n") // the terminal is the outer shell's again
	if got := term.status(); got != 5 {
		t.Errorf("status %d, want 5", got)
	}
}

// TestOrphanedGroup: a session leader's group has nobody to continue it. There ^Z
// does nothing, as without us, and reading in the background fails.
func TestOrphanedGroup(t *testing.T) {
	term := newTerminal(t, self(), "run", "sh", "-c", "echo up; exec cat")
	term.Until("up\r\n")
	term.Type(pty.CtrlZ + "line\n")
	term.Until("line\r\n")
	term.Until("line\r\n") // the echo, and cat's
	term.Type(pty.CtrlD)
	if got := term.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestStoppedJobIsHungUp: when its shell ends, a stopped job has nobody to continue it,
// and gets SIGHUP and SIGCONT.
func TestStoppedJobIsHungUp(t *testing.T) {
	for name, end := range map[string]func(term *terminal){
		"killed":   func(term *terminal) { check(term.Cmd.Process.Kill()) },
		"terminal": func(term *terminal) { term.Master.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			// dash hangs nobody up itself. env, for whoever runs us under nohup.
			term := newTerminal(t, "env", "--default-signal=HUP", "dash", "-i")
			term.Type("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
			term.Until("shell\r\n")
			term.Type("$T run sh -c 'echo up $$ $PPID; exec cat'\n")
			var command, supervisor int
			term.Until("up ")
			if _, err := fmt.Sscan(term.Until("\r\n"), &command, &supervisor); err != nil {
				t.Fatal(err)
			}
			front, err := parentOf(supervisor)
			if err != nil {
				t.Fatal(err)
			}
			fds := []int{pidfdOf(t, command), pidfdOf(t, front), pidfdOf(t, supervisor)}
			term.Type(pty.CtrlZ)
			term.Until("Stopped")
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
	term.Type("stty -echo; T=" + testBinary(t) + "; echo sh''ell\n")
	term.Until("shell\r\n")
	term.Type("$T run $T echo; echo st''atus=$?\n")
	term.Until("ready ")
	term.Until("\r\n")
	front := childOf(t, childOf(t, term.Cmd.Process.Pid)) // numbers of inside are none here
	for range 3 {
		term.Type("line\n")
		term.Until("line\r\n")
		term.settle(front)
		term.Type(pty.CtrlZ)
		term.Until(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
		term.Type("fg; echo st''atus=$?\n")
		term.Until("$T echo\r\n")
		term.Type("again\n")
		term.Until("again\r\n")
	}
	term.Type(pty.CtrlD)
	term.Until("status=0")
	term.Type("PS1='p''s1 '; $T run $T echo\n")
	term.Until("ready ")
	term.Type(pty.CtrlC)
	term.Until("ps1 ")
	term.Type("echo st''atus=$?\n")
	term.Until("status=130")
	// A parent sees SIGSTOP.
	term.Type("$T run sh -c 'kill -STOP $$; exit 7'; echo st''atus=$?\n")
	term.Until(fmt.Sprintf("status=%d", 128+unix.SIGSTOP))
	term.Type("fg; echo st''atus=$?\n")
	term.Until("status=7")
	term.Type("exit 5\n")
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
	term.Until("up\r\n")
	term.Type("line\n")
	term.Until("line\r\n")
	term.Until("line\r\n") // the echo, and cat's
	term.Type(pty.CtrlD)
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
	term.Type("PS1='p''s1 '; $T run timeout 100 sh -c 'echo u''p; exec cat'\n")
	term.Until("up\r\n")
	term.Type("one\n")
	term.Until("one\r\n")
	term.Type(pty.CtrlZ)
	term.Until("Stopped")
	term.Until("ps1 ")
	term.Type("fg\n")
	term.Until("exec cat'\r\n")
	term.Type("two\n")
	term.Until("two\r\n")
	term.Type(pty.CtrlC)
	term.Until("ps1 ")
	term.Type("echo st''atus=$?\n")
	term.Until("status=130")
}

// TestOwnGroupLate: a group that is made when the front has long stopped to expect it,
// by who then stops for the terminal itself.
func TestOwnGroupLate(t *testing.T) {
	term := newShell(t)
	term.Type("PS1='p''s1 '; $T run bash --norc -c 'read x; echo $x; set -m; exec timeout 100 cat'\n")
	term.Type("go\n")
	term.Until("go\r\n")
	term.Type("one\n")
	term.Until("one\r\n")
	term.Type(pty.CtrlD)
	term.Until("ps1 ")
	term.Type("echo st''atus=$?\n")
	term.Until("status=0")
}

// TestOwnSession: natively setsid forks, and what waits in the job is a process with
// no handlers.
func TestOwnSession(t *testing.T) {
	term := newShell(t)
	term.Type("PS1='p''s1 '; $T run setsid --wait sh -c 'trap \"\" HUP; echo up $$; exec sleep 1000'\n")
	term.Until("up ")
	var command int
	if _, err := fmt.Sscan(term.Until("\r\n"), &command); err != nil {
		t.Fatal(err)
	}
	term.Type(pty.CtrlC)
	term.Until("ps1 ")
	term.Type("echo st''atus=$?\n")
	term.Until("status=130")
	if err := unix.Kill(command, unix.SIGKILL); err != nil {
		t.Errorf("COMMAND has ended with the front: %v", err)
	}
}
