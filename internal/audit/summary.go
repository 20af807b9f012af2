package audit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Summary is an observer that counts, for a table as strace -c prints it: a line for each
// system call and verdict. The time is the supervisor's, from receipt to answer.
type Summary struct {
	mu    sync.Mutex // guards below
	lines map[summaryKey]*summaryLine
}

type summaryKey struct {
	call    arch.Syscall
	verdict string
}

type summaryLine struct {
	summaryKey
	calls, errors int
	time          time.Duration
}

// Before implements shim.Observer.
func (s *Summary) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (s *Summary) After(c *shim.Call, v shim.Verdict, _ error) {
	took := time.Duration(max(0, shim.Monotonic()-c.Received))
	verdict, errno := verdictOf(&c.Record, v)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := summaryKey{c.What, verdict}
	line := s.lines[key]
	if line == nil {
		line = &summaryLine{summaryKey: key}
		if s.lines == nil {
			s.lines = map[summaryKey]*summaryLine{}
		}
		s.lines[key] = line
	}
	line.calls++
	line.time += took
	if errno != 0 {
		line.errors++
	}
}

// Print writes the table, what took longest first.
func (s *Summary) Print(out io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []*summaryLine
	var total summaryLine
	for _, line := range s.lines {
		lines = append(lines, line)
		total.calls, total.errors, total.time = total.calls+line.calls, total.errors+line.errors, total.time+line.time
	}
	slices.SortFunc(lines, func(a, b *summaryLine) int {
		return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(a.call, b.call), cmp.Compare(a.verdict, b.verdict))
	})
	var text strings.Builder
	const rule = "------ ----------- ----------- --------- --------- ------------------ -------\n"
	text.WriteString("% time     seconds  usecs/call     calls    errors syscall            verdict\n" + rule)
	for _, line := range lines {
		line.write(&text, total.time, line.call.String(), line.verdict)
	}
	text.WriteString(rule)
	total.write(&text, total.time, "total", "")
	_, err := io.WriteString(out, text.String())
	return err
}

func (l *summaryLine) write(w *strings.Builder, all time.Duration, name, verdict string) {
	share, each, errors := 100.0, int64(0), ""
	if all > 0 {
		share = 100 * float64(l.time) / float64(all)
	}
	if l.calls > 0 {
		each = l.time.Microseconds() / int64(l.calls)
	}
	if l.errors > 0 {
		errors = strconv.Itoa(l.errors)
	}
	line := fmt.Sprintf("%6.2f %11.6f %11d %9d %9s %-18s %s", share, l.time.Seconds(), each, l.calls, errors, name, verdict)
	w.WriteString(strings.TrimRight(line, " ") + "\n")
}
