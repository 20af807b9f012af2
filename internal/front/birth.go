package front

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front/internal/execstate"
)

// birth is what the front's process got by exec and the Go runtime hides: what
// COMMAND has to get in turn.
type birth struct {
	mask    sigset      // blocked signals
	ignored sigset      // signals with SIG_IGN
	closed  int         // bit n: descriptor n (0 to 2) was closed
	death   unix.Signal // at its parent's death (PR_SET_PDEATHSIG), or 0
	limits  string      // those that were widened for us: see execstate.State
}

func atBirth() birth {
	s := execstate.At()
	return birth{sigset(s.Blocked), sigset(s.Ignored), s.Closed, deathSignal(), s.Limits}
}

// stubborn are the signals that the Go runtime cannot be told to leave ignored in
// a child (os/signal.Ignore passes over them), and two that a supervisor must not
// ignore itself: SIGCHLD, whose children would reap themselves, and SIGURG, by
// which the runtime interrupts its goroutines.
func stubborn() sigset {
	return faults() | setOf(unix.SIGSTKFLT, unix.SIGSYS, unix.SIGPROF, unix.SIGCHLD, unix.SIGURG)
}

// orders is the supervisor's command line after its name: the words of birth and of
// the front, the caller's config, COMMAND.
type orders struct {
	birth
	sock     int // the supervisor's end, inherited
	front    int
	terminal int // that COMMAND takes, or noTerminal: see session.go
	config   []string
	command  []string
}

const orderWords = 8 // numbers; the limits follow

func (o orders) args() []string {
	hex := func(n uint64) string { return strconv.FormatUint(n, 16) }
	words := []string{
		hex(uint64(o.mask)), hex(uint64(o.ignored)), hex(uint64(o.closed)), hex(uint64(o.sock)),
		hex(uint64(o.front)), hex(uint64(o.death)), hex(uint64(o.terminal)),
		hex(uint64(len(o.config))), o.limits,
	}
	return append(append(words, o.config...), o.command...)
}

// parseOrders is the inverse of args. Only the front writes them, so an error is
// somebody who tries the hidden subcommand.
func parseOrders(args []string) (orders, error) {
	if len(args) <= orderWords {
		return orders{}, errors.New("read the front's orders: too few words")
	}
	var n [orderWords]uint64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(args[i], 16, 64); err != nil {
			return orders{}, fmt.Errorf("read the front's orders: %w", err)
		}
	}
	rest := args[orderWords+1:]
	if n[7] >= uint64(len(rest)) {
		return orders{}, errors.New("read the front's orders: no command")
	}
	return orders{
		birth:    birth{sigset(n[0]), sigset(n[1]), int(n[2]), unix.Signal(n[5]), args[orderWords]},
		sock:     int(n[3]),
		front:    int(n[4]),
		terminal: int(n[6]),
		config:   rest[:n[7]],
		command:  rest[n[7]:],
	}, nil
}
