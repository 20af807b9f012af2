package tests

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/inject"
)

// callSteps are the places between two steps of a call at which test builds can wait. A
// helper that reads is killed while a caller's memory does not answer.
var (
	callSteps = []string{"received", "checked", "answering", "answered"}
	readStep  = []string{"reading"}
)

// The ways to end a process, and what can be taken from one that is to live.
var (
	deadly    = []string{"kill", "seconds"}
	depriving = []string{"memory", "descriptors", "tasks"}
)

type mortal struct {
	backend, killed    string
	hows, steps, modes []string
}

// mortals are all processes of ours, and what may befall each. The front makes no use of its
// seconds.
var mortals = []mortal{
	{"notify", "supervisor", slices.Concat(deadly, depriving), callSteps, allModes},
	{"notify", "supervisor", deadly, inject.Steps[:], []string{"auto", "caller"}}, // in a hop, its own there
	{"notify", "front", []string{"kill"}, callSteps, allModes},
	{"notify", "reader", []string{"kill", "memory"}, readStep, allModes},
	{"ptrace", "supervisor", slices.Concat(deadly, depriving), callSteps, allModes},
	{"ptrace", "tracer", slices.Concat(deadly, depriving), callSteps, allModes},
	{"ptrace", "front", []string{"kill"}, callSteps, allModes},
	{"ptrace", "reader", []string{"kill", "memory"}, readStep, allModes},
	{"serve", "agent", []string{"kill", "seconds", "descriptors", "tasks"}, callSteps, allModes},
	{"serve", "reader", []string{"kill", "memory"}, readStep, allModes},
	{"serve", "hopper", deadly, inject.Steps[:], []string{"caller"}}, // auto has hops for some calls alone
	{"kept", "agent", deadly, callSteps, allModes},
}

var allModes = []string{"auto", "forward", "caller", "emulate"}

// deathRounds are for each kind of death to come 200 times, in the long form.
const deathRounds = 13

// deaths are all rows, or in the short form each victim and way, with modes and steps in turn.
func deaths() (rows []death) {
	for range soak(1, deathRounds) {
		for i, v := range mortals {
			for j, how := range v.hows {
				for k, mode := range v.modes {
					if !soaking && k != (i+j)%len(v.modes) && (how != "kill" || i%2 == 0) {
						continue
					}
					for l, step := range v.steps {
						if soaking || l == (i+j+k)%len(v.steps) {
							rows = append(rows, death{v.backend, mode, v.killed, how, step, widths[len(rows)%len(widths)]})
						}
					}
				}
			}
		}
	}
	return rows
}

func (d death) deadly() bool { return slices.Contains(deadly, d.how) }

// words are what the victims are told besides: one's memory may be read without a helper.
func (d death) words() []string {
	if d.killed == "reader" {
		return []string{"silent=2"}
	}
	return nil
}

// as is who the supervisor is to be: tasks are counted by user, but for root.
func (d death) as() []string {
	if d.how != "tasks" || d.backend == "serve" {
		return nil
	}
	uid := strconv.Itoa(deprivedUID)
	return []string{"setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--"}
}

// deprivedUID is nobody else's.
const deprivedUID = 54_290

// await returns when a call is at the step, and how to let it go on.
func (d death) await(p *pauser) (release func()) {
	if d.killed == "reader" {
		return func() {}
	}
	conn := p.wait()
	return func() { _ = conn.Close() }
}

// deprive kills, or takes away what the process may yet have: what it has now it keeps.
func (d death) deprive(t *testing.T, p *process) {
	t.Helper()
	limits := map[string][]int{
		"kill": nil, "seconds": {unix.RLIMIT_CPU}, "memory": {unix.RLIMIT_AS, unix.RLIMIT_DATA},
		"descriptors": {unix.RLIMIT_NOFILE},
	}[d.how]
	for _, which := range limits {
		limit := unix.Rlimit{}
		switch which {
		case unix.RLIMIT_NOFILE:
			limit.Cur = uint64(highestDescriptor(p.pid) + 1 + oneCall)
		case unix.RLIMIT_AS:
			limit.Cur = kilobytesOf(p.pid, "VmSize") + runtimesOwn
		case unix.RLIMIT_DATA:
			limit.Cur = kilobytesOf(p.pid, "VmData") + runtimesOwn
		}
		limit.Max = limit.Cur
		if err := unix.Prlimit(p.pid, which, &limit, nil); err != nil && d.killed != "reader" { // which may have ended
			t.Fatal(err)
		}
	}
	switch d.how {
	case "kill":
		p.kill()
	case "tasks": // who has the same uid may
		if d.as() == nil {
			return // the agent's control group has no more
		}
		argv := append(d.as(), "prlimit", "--pid", strconv.Itoa(p.pid), "--nproc=0:0")
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
}

// runtimesOwn is what the Go runtime may come to take for its own books, by 64 and 256 KiB, and
// cannot do without. Its heap grows by 4 MiB.
const runtimesOwn = 1 << 20

func kilobytesOf(pid int, key string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(statusWord(pid, key)), " kB"), 10, 64)
	return n << 10
}

// oneCall is how many descriptors a call may need at once, besides those that are remembered.
const oneCall = 6

func highestDescriptor(pid int) (highest int) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, entry := range entries {
		n, _ := strconv.Atoi(entry.Name())
		highest = max(highest, n)
	}
	return highest
}

// servesOn expects calls that are allowed to succeed.
func (s *survival) servesOn() {
	s.t.Helper()
	before, more := s.count(countFriendly), soak(20, 200)
	s.await(func() bool { return s.count(countFriendly) >= before+more })
	if got := s.count(countFriendly) - before; got < more {
		s.t.Errorf("%d calls were served, want %d", got, more)
	}
}

// noTrace looks for what a Go program leaves behind when it aborts.
func (s *survival) noTrace(text string) {
	s.t.Helper()
	for _, word := range []string{"goroutine ", ".go:", "SIGABRT"} {
		if strings.Contains(text, word) {
			s.t.Errorf("%q in:\n%s", word, text)
		}
	}
}
