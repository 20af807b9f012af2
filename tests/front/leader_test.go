package front

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/pty"
)

// TestLeader: the front leads a session that was born with a terminal (docker -t, ssh -t), and
// COMMAND does natively.
func TestLeader(t *testing.T) {
	compareSessions(t, []session{
		{name: "what it is", script: `exec $RUN $PLAY leader`, does: func(term *terminal) string {
			return term.Line("leads ") + term.end()
		}},
		{name: "timeout", script: `exec $RUN timeout 100 cat`, does: func(term *terminal) string {
			term.Type("one\n")
			term.Until("one\r\n")
			term.Until("one\r\n")
			term.Type(pty.CtrlD)
			return term.end()
		}},
		{name: "keys", script: `exec $RUN $PLAY tell 1`, does: func(term *terminal) (said string) {
			term.Until("ready")
			for _, keys := range []string{pty.CtrlC, pty.CtrlBackslash, pty.CtrlZ} {
				term.Type(keys)
				said += term.Line("signal ") + ", "
			}
			_ = term.Master.Close()
			return said + term.end()
		}},
		{name: "setsid that does not wait", script: `exec $RUN setsid cat`, does: (*terminal).end},
		{name: "COMMAND's end", script: `exec $RUN sh -c 'sleep 1000 & read x; exit 7'`, does: func(term *terminal) string {
			term.Type("\n")
			return term.end() + term.hangUp()
		}},
		{name: "no such program", script: `exec $RUN sh -c 'exec nothing-like-it'`, does: (*terminal).end},
		{name: "others in the session", script: `sleep 1000 & echo other=$!; exec $RUN sh -c 'echo u""p; read x'`, does: func(term *terminal) string {
			pid, err := strconv.Atoi(term.Line("other="))
			if err != nil {
				term.T.Fatal(err)
			}
			term.Until("up")
			lives := unix.Kill(pid, 0) == nil
			term.Type("\n")
			return fmt.Sprint(lives, term.end(), term.hangUp())
		}},
		{name: "a shell's jobs", script: `exec $RUN bash --norc --noprofile --noediting -i`, does: func(term *terminal) (said string) {
			term.Type("PS1='p''s '\n")
			term.Until("ps ")
			term.Type("cat\n")
			term.Type("one\n")
			term.Until("one\r\n")
			term.Until("one\r\n")
			term.Type(pty.CtrlZ)
			term.Until("Stopped")
			term.Until("ps ")
			term.Type("fg\n")
			term.Type("two\n")
			term.Until("two\r\n") // the echo
			term.Until("two\r\n")
			term.Type(pty.CtrlC)
			term.Until("ps ")
			term.Type("echo st''atus=$?\n")
			said = term.Line("status=")
			term.Type("exit 5\n")
			return said + term.end()
		}},
	})
}

// TestLeaderIsInit: the same in a pid namespace whose init the front is.
func TestLeaderIsInit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	compareSessions(t, []session{
		{name: "timeout", script: `exec unshare --pid --fork --mount-proc setsid --ctty $RUN timeout 100 cat`, does: func(term *terminal) string {
			term.Type("one\n")
			term.Until("one\r\n")
			term.Until("one\r\n")
			term.Type(pty.CtrlD)
			return term.end()
		}},
	})
}
