package front

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// terminal is a new pseudo-terminal with the session of a row's script in it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   []byte // output that until has not consumed
	ended  bool
}

// A session is a script of bash that leads a session on a pseudo-terminal, with $RUN, $PLAY
// and $DIR as in a row; and what somebody does there. What does returns has to be the same in
// each way.
type session struct {
	name   string
	script string
	does   func(term *terminal) string
	needs  []string
}

func compareSessions(t *testing.T, sessions []session) {
	t.Helper()
	for _, s := range sessions {
		t.Run(s.name, func(t *testing.T) {
			for _, program := range s.needs {
				_, err := exec.LookPath(program)
				skip.If(t, err)
			}
			want := s.run(t, "")
			if t.Failed() {
				return
			}
			for _, variant := range variants[1:] {
				if strings.Contains(variant, "protect") && os.Getuid() != 0 {
					continue
				}
				for round := range soak(1, 100) {
					if got := s.run(t, variant); got != want {
						t.Errorf("%s, round %d: %q, natively %q", variant, round, got, want)
						break
					}
				}
			}
		})
	}
}

func (s session) run(t *testing.T, variant string) (got string) {
	t.Run(variant, func(t *testing.T) { got = s.does(newTerminal(t, s.script, variant)) })
	return got
}

func newTerminal(t *testing.T, script, variant string) *terminal {
	t.Helper()
	master, slave, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	t.Cleanup(func() { _ = master.Close() })
	// env, for whoever runs us under nohup.
	cmd := exec.Command("env", "--default-signal=HUP", "bash", "--norc", "--noprofile", "-c", script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	run := ""
	if variant != "" {
		run = shim(t) + " " + variant
	}
	cmd.Env = append(os.Environ(), "RUN="+run, "PLAY="+player(t), "DIR="+t.TempDir(), "HOME="+t.TempDir(),
		"LC_ALL=C", "TERM=vt100", "INPUTRC=/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, cmd: cmd}
	t.Cleanup(func() {
		if !term.ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return term
}

func openTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	number := -1
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

const ctrlC, ctrlD, ctrlZ, ctrlBackslash = "\x03", "\x04", "\x1a", "\x1c"

func (term *terminal) typeIn(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// until reads until want, and returns what came before it.
func (term *terminal) until(want string) (before string) {
	term.t.Helper()
	_ = term.master.SetReadDeadline(time.Now().Add(rowDeadline))
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

// line is what follows want in its line.
func (term *terminal) line(want string) string {
	term.t.Helper()
	term.until(want)
	return strings.TrimSpace(term.until("\n"))
}

// end is how the session's leader ended.
func (term *terminal) end() string {
	term.t.Helper()
	timer := time.AfterFunc(rowDeadline, func() { _ = term.cmd.Process.Kill() })
	defer timer.Stop()
	err := term.cmd.Wait()
	term.ended = true
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		term.t.Fatal(err)
	}
	return term.cmd.ProcessState.String()
}

// hangUp returns when nobody has the terminal any more.
func (term *terminal) hangUp() string {
	_ = term.master.SetReadDeadline(time.Now().Add(rowDeadline))
	_, err := io.Copy(io.Discard, term.master)
	return fmt.Sprint(", ", errors.Is(err, unix.EIO))
}
