//go:build kernels

package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// add counts another container's in.
func (l *loadResult) add(o loadResult) {
	l.calls, l.errors, l.got, l.doubled, l.died = l.calls+o.calls, l.errors+o.errors, l.got+o.got, l.doubled+o.doubled, l.died+o.died
}

// TestSystemd boots a machine with Debian's own systemd, installs our package there and
// judges what tests/systemd/inside.sh saw: the service as it is shipped, in each mode,
// and containers under load while it is restarted, killed, stopped dead and upgraded.
// scripts/runtimes.sh names the kernel and the root file system.
func TestSystemd(t *testing.T) {
	image, root := os.Getenv("SYSTEMD_KERNEL"), os.Getenv("SYSTEMD_IMAGE")
	if image == "" || root == "" {
		skip.If(t, errors.New("needs SYSTEMD_KERNEL and SYSTEMD_IMAGE: make runtimes"))
	}
	seen := bootSystemd(t, image, root, stageSystemd)
	t.Run("install", func(t *testing.T) { seen.has(t, "install", "disabled") })
	t.Run("activation", func(t *testing.T) {
		seen.has(t, "activation", "inactive", "ret=0 errno=0", "active")
		seen.has(t, "active", "Type=notify", "ActiveState=active", "SubState=running")
	})
	t.Run("doctor", seen.judgeDoctor)
	for _, mode := range servedModes {
		t.Run("rows-"+mode, func(t *testing.T) { seen.judgeRows(t, mode) })
		t.Run("load-"+mode, func(t *testing.T) { seen.judgeLoad(t, mode) })
	}
	t.Run("bad-policy", seen.judgeBadPolicy)
	t.Run("given-up", seen.judgeGivenUp)
	t.Run("journal", seen.judgeJournal)
	t.Run("security", seen.judgeExposure)
	t.Run("remove", func(t *testing.T) { seen.has(t, "remove", "inactive") })
}

func (s inside) section(t *testing.T, name string) string {
	t.Helper()
	text, found := s[name]
	if !found {
		t.Fatalf("nothing was seen of %q", name)
	}
	return text
}

// has looks for words in a section, in this order.
func (s inside) has(t *testing.T, name string, words ...string) {
	t.Helper()
	text := s.section(t, name)
	rest := text
	for _, word := range words {
		_, after, found := strings.Cut(rest, word)
		if !found {
			t.Errorf("%s: no %q (in the order of %q) in\n%s", name, word, words, text)
			return
		}
		rest = after
	}
}

// judgeDoctor wants the service to find all that the kernel has, confined as it is, but for
// 32-bit programs of its own: SystemCallArchitectures= kills them, and it runs none.
func (s inside) judgeDoctor(t *testing.T) {
	var outside, service doctorReport
	err := errors.Join(json.Unmarshal([]byte(s.section(t, "doctor outside")), &outside), json.Unmarshal([]byte(s.section(t, "doctor service")), &service))
	if err != nil || len(outside.Features) == 0 {
		t.Fatalf("doctor: %v\n%s", err, s["doctor service"])
	}
	for _, f := range outside.Features {
		if found := service.state(f.Name); found != f.State && f.Name != "i386" {
			t.Errorf("%s is %s, but %s to the service", f.Name, f.State, found)
		}
	}
}

// judgeRows compares the rows of containers with and without the service.
func (s inside) judgeRows(t *testing.T, mode string) {
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range widths {
		native, err := parseRows(s.section(t, "rows native "+width))
		if err != nil || len(native) < 40 {
			t.Fatalf("%d rows natively: %v", len(native), err)
		}
		served, err := parseRows(s.section(t, "rows "+mode+" "+width))
		if err != nil {
			t.Fatal(err)
		}
		judgeContainer(t, native, served, exceptions, mode, width)
	}
}

// keptEach is what the descriptor store has of a listener: itself, and the memory of its
// calls.
const keptEach = 2

// judgeLoad judges what two containers' calls came to under a mode.
func (s inside) judgeLoad(t *testing.T, mode string) {
	events := 0
	for name, text := range s {
		if !strings.HasPrefix(name, "event "+mode+" ") {
			continue
		}
		events++
		kept := 2 * keptEach
		if strings.HasSuffix(name, " end") {
			kept = 0
		}
		if !strings.Contains(text, "ActiveState=active") || !strings.Contains(text, fmt.Sprintf("NFileDescriptorStore=%d\n", kept)) {
			t.Errorf("%s: want it active with %d descriptors kept:\n%s", name, kept, text)
		}
	}
	s.judgeCalls(t, mode)
}

// judgeCalls wants each call of two containers answered, and its signal to come once, or to be
// told of as unknown.
func (s inside) judgeCalls(t *testing.T, mode string) (sum loadResult) {
	t.Helper()
	loads, containers := s.section(t, "loads "+mode), 0
	for line := range strings.Lines(loads) {
		if strings.HasPrefix(line, "calls=") {
			containers++
			l := readLoad(t, line)
			sum.add(l)
			sum.slowest = max(sum.slowest, l.slowest)
		}
	}
	var found remains
	log := newWatchedLog()
	for _, line := range s.journal(t, mode) {
		log.add(line.Message)
	}
	found.add(t, log)
	lost := sum.calls - sum.got
	t.Logf("mode %s: %d calls answered, the slowest after %d ms, %d ENOSYS or other errors, %d signals came, %d twice, %d lost, %d callers died; found by successors: %+v",
		mode, sum.calls, sum.slowest/1000, sum.errors, sum.got, sum.doubled, lost, sum.died, found)
	if containers != 2 || sum.calls == 0 || sum.errors > 0 || sum.died > 0 || sum.doubled > 0 || lost > found.unknown || lost < 0 || mode == "caller" && found.unknown > 0 {
		t.Errorf("the containers' last words:\n%s", loads)
	}
	return sum
}

// longestWait is what a call may wait for an agent that was restarted or killed, in
// microseconds. It says nothing of an emulated machine, where a crash takes 3 seconds, and 15 on
// a busy host: TestBadPolicyIsItsOwn has the same on the host. SYSTEMD_ACCEL=kvm has it here.
const longestWait = 2_000_000

// judgeBadPolicy wants a file that is no policy to be felt by the container that asks for it
// alone, which is denied, while the agent is restarted, killed and upgraded; and by who reloads.
func (s inside) judgeBadPolicy(t *testing.T) {
	s.has(t, "reload", "status 1")
	s.has(t, "containers", "bad (bad)")
	if sum := s.judgeCalls(t, "bad"); sum.slowest > longestWait && strings.Contains(s.section(t, "machine"), "kvm") {
		t.Errorf("a call waited %d ms", sum.slowest/1000)
	}
	var other loadResult
	for line := range strings.Lines(s.section(t, "loads other")) {
		if strings.HasPrefix(line, "calls=") {
			other = readLoad(t, line)
		}
	}
	if other.calls == 0 || other.errors != other.calls || other.errno != int(unix.EPERM) || other.got > 0 || other.died > 0 {
		t.Errorf("want each call of the bad policy's container denied: %+v", other)
	}
}

// judgeGivenUp wants calls to come to ENOSYS when systemd starts the agent no more, and all
// well when an operator has.
func (s inside) judgeGivenUp(t *testing.T) {
	s.has(t, "given-up", "NFileDescriptorStore=0", "ActiveState=failed")
	s.has(t, "recovered", "ActiveState=active")
	containers := 0
	for line := range strings.Lines(s.section(t, "loads given-up")) {
		if strings.HasPrefix(line, "calls=") {
			containers++
			if l := readLoad(t, line); l.errors == 0 || l.errno != int(unix.ENOSYS) || l.doubled > 0 || l.died > 0 {
				t.Errorf("want ENOSYS: %s", line)
			}
		}
	}
	if containers != 2 {
		t.Errorf("%d containers ended, want 2:\n%s", containers, s["loads given-up"])
	}
}

// journalLine is one of the service's or, about it, of systemd's.
type journalLine struct {
	Priority string
	From     string `json:"SYSLOG_IDENTIFIER"`
	Message  string
}

// journal is what was logged under a mode.
func (s inside) journal(t *testing.T, mode string) []journalLine {
	t.Helper()
	var lines []journalLine
	for decoder := json.NewDecoder(strings.NewReader(s.section(t, "journal "+mode))); ; {
		var line journalLine
		err := decoder.Decode(&line)
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatalf("the journal of mode %s: %v", mode, err)
		}
		lines = append(lines, line)
	}
}

// slowness is what an agent says of callers that do not run, and in a machine of QEMU's
// they may not for a while.
const slowness = `msg="a caller's memory does not answer`

// judgeJournal wants one line an event, with its level, and nothing else of ours but the
// goroutines of the one that the watchdog found hanging.
func (s inside) judgeJournal(t *testing.T) {
	levels := map[string]int{}
	for _, mode := range servedModes {
		starts, readies, dumped := 0, 0, false
		for _, line := range s.journal(t, mode) {
			switch {
			case line.From == "systemd":
				if strings.HasPrefix(line.Message, "Started ") {
					starts++
				}
				dumped = dumped || strings.Contains(line.Message, "Watchdog timeout")
				continue
			case strings.HasPrefix(line.Message, "msg=ready "):
				readies++
				dumped = false
			}
			if strings.HasPrefix(line.Message, "/etc/pidfd-shim/policies") {
				continue // what "policy check" says before a reload
			}
			levels[line.Priority]++
			if line.Priority == "4" && strings.HasPrefix(line.Message, slowness) {
				continue
			}
			if !dumped && (line.Priority != "6" || !strings.HasPrefix(line.Message, "msg=")) {
				t.Errorf("mode %s: the agent said, with priority %s: %s", mode, line.Priority, line.Message)
			}
		}
		if starts == 0 || readies != starts {
			t.Errorf("mode %s: started %d times, ready %d times", mode, starts, readies)
		}
	}
	t.Logf("lines of the agent by priority: %v", levels)
}

// mostExposed is systemd's measure of how much a service could do, of 10: this one has to
// have CAP_SYS_ADMIN and CAP_SYS_PTRACE and to see every process.
const mostExposed = 4

func (s inside) judgeExposure(t *testing.T) {
	text := strings.TrimSpace(s.section(t, "security"))
	_, after, _ := strings.Cut(text, "pidfd-shim.service: ")
	var level float64
	if _, err := fmt.Sscan(after, &level); err != nil || level > mostExposed {
		t.Errorf("%q: %v; want at most %v", text, err, mostExposed)
	}
	t.Log(text)
}
