package front

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLeader: the front leads a session that was born with a terminal (docker -t, ssh -t), and
// COMMAND does natively.
func TestLeader(t *testing.T) {
	compareSessions(t, []session{
		{name: "what it is", script: `exec $RUN $PLAY leader`, does: func(term *terminal) string {
			return term.line("leads ") + term.end()
		}},
		{name: "timeout", script: `exec $RUN timeout 100 cat`, does: func(term *terminal) string {
			term.typeIn("one\n")
			term.until("one\r\n")
			term.until("one\r\n")
			term.typeIn(ctrlD)
			return term.end()
		}},
		{name: "keys", script: `exec $RUN $PLAY tell 1`, does: func(term *terminal) (said string) {
			term.until("ready")
			for _, keys := range []string{ctrlC, ctrlBackslash, ctrlZ} {
				term.typeIn(keys)
				said += term.line("signal ") + ", "
			}
			_ = term.master.Close()
			return said + term.end()
		}},
		{name: "setsid that does not wait", script: `exec $RUN setsid cat`, does: (*terminal).end},
		{name: "COMMAND's end", script: `exec $RUN sh -c 'sleep 1000 & read x; exit 7'`, does: func(term *terminal) string {
			term.typeIn("\n")
			return term.end() + term.hangUp()
		}},
		{name: "no such program", script: `exec $RUN sh -c 'exec nothing-like-it'`, does: (*terminal).end},
		{name: "others in the session", script: `sleep 1000 & echo other=$!; exec $RUN sh -c 'echo u""p; read x'`, does: func(term *terminal) string {
			pid, err := strconv.Atoi(term.line("other="))
			if err != nil {
				term.t.Fatal(err)
			}
			term.until("up")
			lives := unix.Kill(pid, 0) == nil
			term.typeIn("\n")
			return fmt.Sprint(lives, term.end(), term.hangUp())
		}},
		{name: "a shell's jobs", script: `exec $RUN bash --norc --noprofile --noediting -i`, does: func(term *terminal) (said string) {
			term.typeIn("PS1='p''s '\n")
			term.until("ps ")
			term.typeIn("cat\n")
			term.typeIn("one\n")
			term.until("one\r\n")
			term.until("one\r\n")
			term.typeIn(ctrlZ)
			term.until("Stopped")
			term.until("ps ")
			term.typeIn("fg\n")
			term.typeIn("two\n")
			term.until("two\r\n") // the echo
			term.until("two\r\n")
			term.typeIn(ctrlC)
			term.until("ps ")
			term.typeIn("echo st''atus=$?\n")
			said = term.line("status=")
			term.typeIn("exit 5\n")
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
			term.typeIn("one\n")
			term.until("one\r\n")
			term.until("one\r\n")
			term.typeIn(ctrlD)
			return term.end()
		}},
	})
}
