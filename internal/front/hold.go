package front

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Service managers signal a whole control group, the main process first, then everybody
// once: COMMAND among them. What reaches the front is therefore held for a moment, until it
// is seen whether sentinel and supervisor, which nobody means, get the same: then COMMAND
// has it, too, and a second one would be ours.
type held struct {
	n     *note
	due   time.Time
	limit time.Time
	whole bool // the front's whole group got it
	group bool // the sentinel has had it already
}

// holdTime is how long a signal is held, and holdLimit as long as its sender is still
// running, who may have been interrupted between two of its signals, or only the sentinel
// has it.
const (
	holdTime  = 20 * time.Millisecond
	holdLimit = 400 * time.Millisecond
)

// atOnce are the signals that are not held: to have them twice is to have them once, and
// the order of stops and continuations matters to whoever sends both.
func atOnce() sigset {
	return setOf(unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGWINCH, unix.SIGURG, unix.SIGCHLD)
}

// holding are those that are held, in the order in which they came.
type holding []held

func (h *holding) add(n *note, group bool) {
	now := time.Now()
	limit := holdLimit
	if group { // what the group got came to the sentinel first, and is most likely no more than that
		limit = 2 * holdTime
	}
	*h = append(*h, held{n, now.Add(holdTime), now.Add(limit), group, group})
}

// passDue passes on what has been held long enough and was for the front alone. The order
// stays.
func (f *front) passDue() {
	for len(f.holding) > 0 {
		h := &f.holding[0]
		now := time.Now()
		switch {
		case f.orphaned:
			f.passOn(h.n, h.whole)
		case now.Before(h.due):
			return
		case f.everybodyHas(h):
			delete(f.noticed, h.n.signal())
		case now.Before(h.limit) && (h.group || isIn(int(h.n.pid()), "R")):
			h.due = now.Add(holdTime / 2)
			return
		default:
			f.passOn(h.n, h.whole)
		}
		f.holding = f.holding[1:]
	}
}

// everybodyHas tells whether the sentinel has h's signal, and the supervisor: that one may
// not have come to tell of it yet.
func (f *front) everybodyHas(h *held) bool {
	if !h.group {
		h.group = f.sentinel.take(h.n.signal())
	}
	at, ok := f.noticed[h.n.signal()]
	return h.group && ok && h.due.Sub(at) <= holdLimit && f.command.takes(h.n.signal())
}

// takes tells whether COMMAND could take sig twice. What it has no handler for, and does not
// block, it may have twice as well; and if it has not had it (pkill -f pidfd-shim), once.
func (c *command) takes(sig unix.Signal) bool {
	e, err := entryOf(c.pid)
	if err != nil {
		return true
	}
	text, err := os.ReadFile("/proc/" + string(e) + "/status")
	if err != nil {
		return true
	}
	for _, key := range []string{"SigCgt:", "SigBlk:"} {
		if words := numbersAfter(text, key); len(words) == 1 {
			if set, err := strconv.ParseUint(words[0], 16, 64); err != nil || sigset(set).has(sig) {
				return true
			}
		}
	}
	return false
}

// passOn passes n on as what it was: the front's, or its whole group's.
func (f *front) passOn(n *note, whole bool) {
	if whole {
		f.passGroup(n)
	} else {
		f.pass(n, false)
	}
}

// untilDue is how long wait may wait, in milliseconds.
func (h holding) untilDue() int {
	if len(h) == 0 {
		return -1
	}
	left := time.Until(h[0].due)
	return max(0, int((left + time.Millisecond - 1).Milliseconds()))
}
