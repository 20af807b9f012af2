package audit

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// The table has strace's columns, a line for each call and verdict, and the time that was
// spent, most first.
func TestSummary(t *testing.T) {
	s := &Summary{}
	add := func(count int, took time.Duration, nr uint32, v shim.Verdict, denied bool) {
		for range count {
			c := call424(3, int32(unix.SIGTERM), 0, 0)
			c.Frame.Nr, c.Record.Denied = nr, denied
			c.Received = shim.Monotonic() - int64(took)
			c.Decode()
			s.After(&c, v, nil)
		}
	}
	add(3, time.Hour, 424, shim.Return(0), false)
	add(2, 3*time.Hour, 424, shim.Fail(unix.EACCES), true)
	add(1, time.Hour, 62, shim.Fail(unix.ESRCH), false)
	var text strings.Builder
	must(t, s.Print(&text))
	lines := strings.Split(text.String(), "\n")
	want := []string{
		"% time seconds usecs/call calls errors syscall verdict", "",
		"60.00 2 2 pidfd_send_signal deny", "30.00 3 pidfd_send_signal allow", "10.00 1 1 kill error", "", "100.00 6 3 total",
	}
	for i, line := range want {
		got := strings.Fields(at(lines, i))
		if i > 1 && line != "" && len(got) > 3 {
			got = append(got[:1], got[3:]...) // seconds are never quite the same
		}
		if line != "" && strings.Join(got, " ") != line {
			t.Errorf("line %d is %q, want %q", i, got, line)
		}
	}
}
