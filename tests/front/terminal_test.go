package front

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/pty"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// terminal is a new pseudo-terminal with the session of a row's script in it.
type terminal struct{ *pty.Terminal }

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
	// env, for whoever runs us under nohup.
	cmd := exec.Command("env", "--default-signal=HUP", "bash", "--norc", "--noprofile", "-c", script)
	run := ""
	if variant != "" {
		run = shim(t) + " " + variant
	}
	cmd.Env = append(os.Environ(), "RUN="+run, "PLAY="+player(t), "DIR="+t.TempDir(), "HOME="+t.TempDir(),
		"LC_ALL=C", "TERM=vt100", "INPUTRC=/dev/null")
	return &terminal{pty.Start(t, rowDeadline, 0, cmd)}
}

// end is how the session's leader ended.
func (term *terminal) end() string {
	term.T.Helper()
	timer := time.AfterFunc(rowDeadline, func() { _ = term.Cmd.Process.Kill() })
	defer timer.Stop()
	err := term.Cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		term.T.Fatal(err)
	}
	return term.Cmd.ProcessState.String()
}

// hangUp returns when nobody has the terminal any more.
func (term *terminal) hangUp() string {
	_ = term.Master.SetReadDeadline(time.Now().Add(rowDeadline))
	_, err := io.Copy(io.Discard, term.Master)
	return fmt.Sprint(", ", errors.Is(err, unix.EIO))
}
