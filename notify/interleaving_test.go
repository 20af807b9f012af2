package notify

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A life is what happens to two calls: of the first a worker has just been told, another worker
// receives the second. Each worker may be stuck at any place (in a read, or its process is stopped)
// while a successor takes over and serves what it finds, and a third takes over from that one; all
// of them go on although they were taken from. A signal may end the first caller's wait. That
// somebody dies is that he takes no step any more: so what a successor would find is looked at
// after every step.
type life struct {
	bytes       []byte
	journals    [3]*Journal // of the workers, of the successor, of the third
	actors      [4]actor
	acted       [3]int  // how often a call's signal was sent, or it was given away
	finished    [3]bool // it has its answer, or is nobody's any more
	interrupted bool
}

// actor is a worker, or the successor or the third with all that it serves.
type actor struct {
	at    int
	tasks []*task
}

// task is a call that somebody has.
type task struct {
	slot      *slot
	call      uint64
	delegates bool // it has the caller make the call, through another process
	mayAct    bool
}

const (
	worker = iota
	otherWorker
	successorOf
	third
	signal // no actor: it ends the first caller's wait
	whoever
)

// taskSteps are what a handler and the loop do with a call.
var taskSteps = []func(*life, *task){
	func(l *life, a *task) {
		switch {
		case a.call == 1 && l.interrupted: // Blocked says so
		case a.delegates:
			a.mayAct = a.slot.Delegate(4711, shim.Rewrite{Nr: 62})
		default:
			a.mayAct = a.slot.BeginSend()
		}
	},
	func(l *life, a *task) {
		if a.mayAct {
			l.acted[a.call]++
			a.mayAct = false
		}
	},
	func(_ *life, a *task) { a.slot.Sent(shim.Fail(unix.EAGAIN)) },
	func(l *life, a *task) {
		if was := *a.slot.state(); was>>stateBits == a.slot.generation && was != a.slot.word(slotFree) {
			l.finished[a.call] = true
		}
		a.slot.Done()
	},
}

// newLife begins with the first call received. A successor in another process has a journal of its
// own; one in the same (shim.Pool.Stop) has the workers'.
func newLife(inOne bool) *life {
	l := &life{bytes: make([]byte, slotsAt+2*slotSize)}
	for i := range l.journals {
		if l.journals[i] = l.journals[0]; i == 0 || !inOne {
			l.journals[i] = &Journal{bytes: l.bytes}
		}
	}
	l.receive(worker, 1)
	return l
}

func (l *life) receive(who int, call uint64) {
	s := l.journals[0].take()
	s.open(80)
	binary.LittleEndian.PutUint64(s.bytes[receiveAt:], call) // as the kernel writes it
	l.actors[who].tasks = []*task{{slot: s, call: call}}
}

// can says whether somebody can take a step.
func (l *life) can(who int) bool {
	if who == signal {
		return !l.interrupted
	}
	a := &l.actors[who]
	switch {
	case who == otherWorker && a.at == 0: // it is told nothing once another has the listener
		return l.actors[successorOf].at == 0
	case who == third && a.at == 0:
		return l.actors[successorOf].at > 0
	case who == successorOf && a.at == 0:
		return true
	case who == worker:
		return a.at < len(taskSteps)
	}
	return a.at-1 < len(a.tasks)*len(taskSteps)
}

func (l *life) step(who int, delegates int) {
	if who == signal {
		l.interrupted = true
		return
	}
	of, at := l.next(who)
	l.actors[who].at++
	if of == nil {
		l.begin(who)
		return
	}
	of.delegates = delegates>>who&1 != 0
	taskSteps[at](l, of)
}

// next is the step that somebody takes next: of no task, his first.
func (l *life) next(who int) (of *task, at int) {
	a := &l.actors[who]
	at = a.at
	if who != worker {
		at--
	}
	if at < 0 {
		return nil, 0
	}
	return a.tasks[at/len(taskSteps)], at % len(taskSteps)
}

// dies is a step that somebody dies in, while he writes to whom a call goes, or its answer.
// False: his next step is none of those.
func (l *life) dies(who, delegates int) bool {
	if who == signal {
		return false
	}
	switch of, at := l.next(who); {
	case of == nil:
	case at == 0 && delegates>>who&1 != 0:
		return of.slot.move(slotOpen, slotDelegating)
	case at == 2:
		return of.slot.move(slotSending, slotDeciding)
	}
	return false
}

// begin is the first step of whoever does not have a call from the start.
func (l *life) begin(who int) {
	if who == otherWorker {
		l.receive(who, 2)
		return
	}
	m := l.journals[who-successorOf+1]
	left, ended := takeOver(m)
	for call := range ended {
		l.finished[call] = true
	}
	for _, s := range left {
		l.actors[who].tasks = append(l.actors[who].tasks, &task{slot: s, call: callIn(s)})
	}
}

func callIn(s *slot) uint64 { return binary.LittleEndian.Uint64(s.bytes[receiveAt:]) }

// takeOver finds what is left, and which calls it has answered.
func takeOver(m *Journal) (left []*slot, ended map[uint64]bool) {
	var r Remains
	delegated := m.takeOver(&r, -1)
	ended = map[uint64]bool{}
	for i := range *m.used() {
		ended[callIn(m.slot(i))] = true
	}
	for s := m.leftover(); s != nil; s = m.leftover() {
		left = append(left, s)
	}
	for _, s := range append(delegated, left...) {
		delete(ended, callIn(s))
	}
	return left, ended
}

// check looks at what somebody would find who takes over now, everybody else being dead.
func (l *life) check() error {
	heir := &Journal{bytes: append([]byte(nil), l.bytes...)}
	left, _ := takeOver(heir)
	unserved := [3]int{}
	for _, s := range left {
		unserved[callIn(s)]++
	}
	for call := uint64(1); call <= 2; call++ {
		switch {
		case l.acted[call] > 1:
			return fmt.Errorf("call %d was acted on %d times", call, l.acted[call])
		case l.acted[call] == 1 && unserved[call] > 0:
			return fmt.Errorf("call %d was acted on, and a successor would do so again", call)
		case unserved[call] > 1:
			return fmt.Errorf("call %d is left twice", call)
		case l.received(call) && l.acted[call] == 0 && !l.finished[call] && !l.mayAct(call) && unserved[call] == 0:
			return fmt.Errorf("call %d is lost: nobody has acted on it, and no successor would", call)
		}
	}
	for _, m := range l.journals {
		free := map[*byte]bool{}
		for _, s := range m.free {
			if free[&s.bytes[0]] {
				return fmt.Errorf("a slot is free twice")
			}
			free[&s.bytes[0]] = true
		}
	}
	return nil
}

func (l *life) received(call uint64) bool { return call == 1 || l.actors[otherWorker].at > 0 }

// mayAct tells of a call upon which somebody is about to act.
func (l *life) mayAct(call uint64) bool {
	for _, a := range l.actors {
		for _, of := range a.tasks {
			if of.call == call && of.mayAct {
				return true
			}
		}
	}
	return false
}

// key is all that what comes next depends on.
func (l *life) key() string {
	var b strings.Builder
	at := func(s *slot) int { return int(s.bytes[receiveAt+8]) }
	b.Write(l.bytes[generationAt:slotsAt])
	for i := range 2 {
		s := l.bytes[slotsAt+i*slotSize:]
		b.Write(s[:receiveAt+16])
	}
	fmt.Fprint(&b, l.acted, l.finished, l.interrupted)
	for _, a := range l.actors {
		fmt.Fprint(&b, a.at, ":")
		for _, of := range a.tasks {
			fmt.Fprint(&b, of.call, of.mayAct, of.slot.generation, at(of.slot), " ")
		}
	}
	for _, m := range l.journals {
		fmt.Fprint(&b, m.generation, len(m.free), len(m.left), "/")
		for _, s := range m.free {
			fmt.Fprint(&b, at(s), s.generation, " ")
		}
	}
	return b.String()
}

// TestEveryInterleaving walks every state that any order of those steps leads to, for choices of who
// sends and who delegates: no call is acted on twice, none is lost. In the short form either the
// third or the other worker stays away.
func TestEveryInterleaving(t *testing.T) {
	absent, choices := []int{1 << third, 1 << otherWorker}, []int{0b0000, 0b0001, 0b1100, 0b1111}
	if os.Getenv("PIDFD_SHIM_SOAK") != "" {
		absent, choices = []int{0}, nil
		for delegates := range 1 << signal {
			choices = append(choices, delegates)
		}
	}
	states := 0
	for _, away := range absent {
		for _, delegates := range choices {
			states += walk(t, away, delegates, false) + walk(t, away, delegates, true)
		}
	}
	t.Logf("%d states", states)
	if states < 5_000 {
		t.Error("that is not every state")
	}
}

// walk goes through the states, each by the shortest way to it.
func walk(t *testing.T, away, delegates int, inOne bool) int {
	seen := map[string]bool{}
	queue := [][]int{nil}
	for len(queue) > 0 {
		order := queue[0]
		queue = queue[1:]
		for who := range whoever {
			if away>>who&1 != 0 {
				continue
			}
			l := newLife(inOne)
			for _, before := range order {
				l.step(before, delegates)
			}
			if !l.can(who) {
				continue
			}
			bytes := append([]byte(nil), l.bytes...)
			if l.dies(who, delegates) {
				if err := l.check(); err != nil {
					t.Fatalf("order %v, and %d dies in his next step, who delegates %04b: %v", order, who, delegates, err)
				}
				copy(l.bytes, bytes)
			}
			l.step(who, delegates)
			k := l.key()
			if seen[k] {
				continue
			}
			seen[k] = true
			queue = append(queue, append(order[:len(order):len(order)], who))
			if err := l.check(); err != nil {
				t.Fatalf("order %v then %d, who delegates %04b, in one process %t: %v", order, who, delegates, inOne, err)
			}
		}
	}
	return len(seen)
}
