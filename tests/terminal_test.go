package tests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/pty"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// terminal is a pseudo-terminal with a shell's session in it.
type terminal struct{ *pty.Terminal }

const terminalDeadline = 20 * time.Second

func newTerminal(t *testing.T, argv ...string) *terminal {
	t.Helper()
	// env, for whoever runs us under nohup.
	cmd := exec.Command("env", append([]string{"--default-signal=HUP"}, argv...)...)
	cmd.Env = append(os.Environ(), "TERM=dumb", "INPUTRC=/dev/null")
	return &terminal{pty.Start(t, terminalDeadline, 0, cmd)}
}

// job starts a command that says "up" and its number, and returns a handle of it.
func (term *terminal) job(command string) (pid, pidfd int) {
	term.T.Helper()
	term.Type(command + "\n")
	if _, err := fmt.Sscan(term.Line("up="), &pid); err != nil {
		term.T.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		term.T.Fatal(err)
	}
	term.T.Cleanup(func() {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		_ = unix.Close(pidfd)
	})
	return pid, pidfd
}

// await returns when a process is stopped, and does not read what is typed, or when it is
// not, and a shell that edits its lines itself does not.
func (term *terminal) await(stopped bool, pid int) {
	term.T.Helper()
	for deadline := time.Now().Add(terminalDeadline); ; time.Sleep(time.Millisecond) { //nolint:forbidigo // no event tells of a stop
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			term.T.Fatal(err)
		}
		if state := text[bytes.LastIndexByte(text, ')')+2]; (state == 'T' || state == 't') == stopped {
			return
		}
		if time.Now().After(deadline) {
			term.T.Fatalf("process %d: want it stopped: %v", pid, stopped)
		}
	}
}

func (term *terminal) awaitEnd(pidfd int) {
	term.T.Helper()
	for deadline := time.Now().Add(terminalDeadline); ; {
		left := int(time.Until(deadline).Milliseconds())
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, max(left, 0))
		if n > 0 {
			return
		}
		if !errors.Is(err, unix.EINTR) {
			term.T.Fatalf("the command has not ended: %d %v, seen %q", n, err, term.Seen())
		}
	}
}

// settle returns when those in front of a command have dealt with all that came before, natively
// at once. A key pressed within the millisecond that they may need after fg can meet them half way
// (docs/FRONT.md): nobody types so fast, a test does.
func (term *terminal) settle(pid int) {
	term.T.Helper()
	var ours []int
	for ; pid > 1; pid, _ = strconv.Atoi(statusWord(pid, "PPid")) {
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); bytes.Contains(line, []byte("__supervise")) {
			front, _ := strconv.Atoi(statusWord(pid, "PPid"))
			ours = []int{pid, front}
			break
		}
	}
	before, deadline := "", time.Now().Add(terminalDeadline)
	for now := switches(ours); len(ours) > 0 && (now == "" || now != before); now = switches(ours) {
		if time.Now().After(deadline) {
			term.T.Fatalf("processes %v do not come to rest", ours)
		}
		before = now
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // no event tells that nothing is left to do
	}
}

// switches are how often each thread of some processes has slept so far; "" if one does not.
func switches(pids []int) string {
	var all strings.Builder
	for _, pid := range pids {
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, thread := range threads {
			tid, _ := strconv.Atoi(thread.Name())
			if !strings.HasPrefix(statusWord(tid, "State"), "S") {
				return ""
			}
			all.WriteString(statusWord(tid, "voluntary_ctxt_switches") + " ")
		}
	}
	return all.String()
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
			term.Type("line\n")
			said += term.Line("got=") + " "
			term.settle(pid)
			term.Type("\x1a")
			term.await(true, pid)
			term.Type("echo a''t=prompt\n")
			said += term.Line("at=") + " "
			term.Type("fg\n")
			term.await(false, pid)
		}
		term.Type("last\n")
		said += term.Line("got=") + " "
		term.Type("\x03")
		term.awaitEnd(pidfd)
		term.Type("echo st''atus=$?\n")
		return said + term.Line("status=")
	}
}

func ownSession(term *terminal, run string) string {
	_, pidfd := term.job(run + `setsid --wait sh -c 'echo u''p=$$; exec sleep 1000'`)
	term.Type("\x03")
	term.Until("^C") // what is typed before goes with it
	term.Type("echo st''atus=$?\n")
	status := term.Line("status=")
	return fmt.Sprintf("%s, lives: %v", status, unix.PidfdSendSignal(pidfd, 0, nil, 0) == nil)
}

func hungUp(end func(term *terminal)) func(term *terminal, run string) string {
	return func(term *terminal, run string) string {
		pid, pidfd := term.job(run + reader)
		term.Type("\x1a")
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
		{"shell killed", hungUp(func(term *terminal) { _ = term.Cmd.Process.Kill() })},
		{"terminal closed", hungUp(func(term *terminal) { _ = term.Master.Close() })},
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
	term.Type("echo sh''ell=\n")
	term.Until("shell=")
	return term
}
