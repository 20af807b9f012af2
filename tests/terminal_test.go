package tests

import (
	"bytes"
	"errors"
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

// terminal is a pseudo-terminal with a shell's session in it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   []byte // output that expect has not consumed
}

const terminalDeadline = 20 * time.Second

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
	number := -1
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	// env, for whoever runs us under nohup.
	cmd := exec.Command("env", append([]string{"--default-signal=HUP"}, argv...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	cmd.Env = append(os.Environ(), "TERM=dumb", "INPUTRC=/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &terminal{t: t, master: master, cmd: cmd}
}

func (term *terminal) typeIn(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// expect reads until want and returns the rest of its line.
func (term *terminal) expect(want string) string {
	term.t.Helper()
	term.until(want)
	return strings.TrimSpace(term.until("\n"))
}

func (term *terminal) until(want string) (before string) {
	term.t.Helper()
	_ = term.master.SetReadDeadline(time.Now().Add(terminalDeadline))
	for buffer := make([]byte, 4096); ; {
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

// job starts a command that says "up" and its number, and returns a handle of it.
func (term *terminal) job(command string) (pid, pidfd int) {
	term.t.Helper()
	term.typeIn(command + "\n")
	if _, err := fmt.Sscan(term.expect("up="), &pid); err != nil {
		term.t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		term.t.Fatal(err)
	}
	term.t.Cleanup(func() {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		_ = unix.Close(pidfd)
	})
	return pid, pidfd
}

// await returns when a process is stopped, and does not read what is typed, or when it is
// not, and a shell that edits its lines itself does not.
func (term *terminal) await(stopped bool, pid int) {
	term.t.Helper()
	for deadline := time.Now().Add(terminalDeadline); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			term.t.Fatal(err)
		}
		if state := text[bytes.LastIndexByte(text, ')')+2]; (state == 'T' || state == 't') == stopped {
			return
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("process %d: want it stopped: %v", pid, stopped)
		}
	}
}

func (term *terminal) awaitEnd(pidfd int) {
	term.t.Helper()
	for deadline := time.Now().Add(terminalDeadline); ; {
		left := int(time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, max(left, 0))
		if n > 0 {
			return
		}
		if !errors.Is(err, unix.EINTR) {
			term.t.Fatalf("the command has not ended: %d %v, seen %q", n, err, term.seen)
		}
	}
}

// reader answers each line that it reads.
const reader = `sh -c 'echo u''p=$$; while read x; do echo g''ot=$x; done'`

// jobControl is a reader's life in a shell, until ^C. Where COMMAND is something in front
// of the reader, reading shows that it has the terminal, too.
func jobControl(command string) func(term *terminal, run string) string {
	return func(term *terminal, run string) string {
		pid, pidfd := term.job(run + command)
		said := ""
		for range 2 {
			term.typeIn("line\n")
			said += term.expect("got=") + " "
			term.typeIn("\x1a")
			term.await(true, pid)
			term.typeIn("echo a''t=prompt\n")
			said += term.expect("at=") + " "
			term.typeIn("fg\n")
			term.await(false, pid)
		}
		term.typeIn("last\n")
		said += term.expect("got=") + " "
		term.typeIn("\x03")
		term.awaitEnd(pidfd)
		term.typeIn("echo st''atus=$?\n")
		return said + term.expect("status=")
	}
}

func ownSession(term *terminal, run string) string {
	_, pidfd := term.job(run + `setsid --wait sh -c 'echo u''p=$$; exec sleep 1000'`)
	term.typeIn("\x03")
	term.until("^C") // what is typed before goes with it
	term.typeIn("echo st''atus=$?\n")
	status := term.expect("status=")
	return fmt.Sprintf("%s, lives: %v", status, unix.PidfdSendSignal(pidfd, 0, nil, 0) == nil)
}

func hungUp(end func(term *terminal)) func(term *terminal, run string) string {
	return func(term *terminal, run string) string {
		pid, pidfd := term.job(run + reader)
		term.typeIn("\x1a")
		term.await(true, pid)
		end(term)
		term.awaitEnd(pidfd)
		return "ended"
	}
}

// TestTerminals has shells with job control run commands on a terminal: natively and under
// each backend the same is seen.
func TestTerminals(t *testing.T) {
	rows := []struct {
		name string
		does func(term *terminal, run string) string
	}{
		{"plain", jobControl(reader)},
		{"own group", jobControl("timeout 1000 " + reader)},
		{"own session", ownSession},
		{"shell killed", hungUp(func(term *terminal) { _ = term.cmd.Process.Kill() })},
		{"terminal closed", hungUp(func(term *terminal) { _ = term.master.Close() })},
	}
	shells := map[string][]string{
		"bash":    {"bash", "--norc", "--noprofile", "--noediting", "-i"},
		"dash":    {"dash", "-i"},
		"mksh":    {"mksh", "-i"},
		"busybox": {"busybox", "sh", "-i"},
		"zsh":     {"zsh", "-f", "-i"},
	}
	shim := buildShim(t)
	for shell, argv := range shells {
		t.Run(shell, func(t *testing.T) {
			_, err := exec.LookPath(argv[0])
			skip.If(t, err)
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					want := row.does(newShell(t, argv), "")
					for _, backend := range []string{"notify", "ptrace"} {
						t.Run(backend, func(t *testing.T) {
							if got := row.does(newShell(t, argv), shim+" run --backend "+backend+" -- "); got != want {
								t.Errorf("%s, natively %s", got, want)
							}
						})
					}
				})
			}
		})
	}
}

func newShell(t *testing.T, argv []string) *terminal {
	t.Helper()
	term := newTerminal(t, argv...)
	term.typeIn("echo sh''ell=\n")
	term.until("shell=")
	return term
}
