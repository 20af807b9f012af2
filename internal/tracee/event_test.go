package tracee

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// Statuses as wait4 gave them to a tracer that had seized (6.18), and what ptrace(2)
// says of each.
func TestClassifyCaptured(t *testing.T) {
	for _, row := range []struct {
		name   string
		status uint32
		want   Event
		sig    unix.Signal
	}{
		{"exit(0)", 0x0000, EventExited, 0},
		{"exit(43)", 0x2b00, EventExited, 0},
		{"exit(127), which has the stop's byte elsewhere", 0x7f00, EventExited, 0},
		{"killed by SIGKILL", 0x0009, EventExited, 0},
		{"core dumped by SIGSEGV", 0x008b, EventExited, 0},
		{"SIGTERM about to be delivered", 0x0f7f, EventSignal, unix.SIGTERM},
		{"SIGSTOP about to be delivered", 0x137f, EventSignal, unix.SIGSTOP},
		{"SIGTRAP of its own, no syscall stop", 0x057f, EventSignal, unix.SIGTRAP},
		{"SIGRTMAX about to be delivered", 0x407f, EventSignal, 64},
		{"entry or exit of a call", 0x857f, EventSyscall, 0},
		{"stopped by SIGSTOP", 0x80137f, EventGroupStop, unix.SIGSTOP},
		{"stopped by SIGTSTP", 0x80147f, EventGroupStop, unix.SIGTSTP},
		{"stopped by SIGTTIN", 0x80157f, EventGroupStop, unix.SIGTTIN},
		{"stopped by SIGTTOU", 0x80167f, EventGroupStop, unix.SIGTTOU},
		{"interrupted, new, or continued while we listened", 0x80057f, EventStop, 0},
		{"fork", 0x01057f, EventFork, 0},
		{"vfork", 0x02057f, EventFork, 0},
		{"clone", 0x03057f, EventFork, 0},
		{"exec", 0x04057f, EventExec, 0},
		{"vfork done, not asked for", 0x05057f, EventOther, 0},
		{"about to exit", 0x06057f, EventExit, 0},
		{"our filter said RET_TRACE", 0x07057f, EventSeccomp, 0},
		{"an event of a kernel to come", 0x09057f, EventOther, 0},
		{"continued, not asked for: no end", 0xffff, EventOther, 0},
	} {
		if got, sig := Classify(unix.WaitStatus(row.status)); got != row.want || sig != row.sig {
			t.Errorf("%s (%#x): event %d signal %d, want %d and %d", row.name, row.status, got, sig, row.want, row.sig)
		}
	}
}

// Every status that wait4 can give: an exit code, a deadly signal with and without core,
// a stop for each signal under each event.
func TestClassifyAll(t *testing.T) {
	check := func(status uint32, want Event, sig unix.Signal) {
		t.Helper()
		if got, s := Classify(unix.WaitStatus(status)); got != want || s != sig {
			t.Errorf("%#x: event %d signal %d, want %d and %d", status, got, s, want, sig)
		}
	}
	for code := range uint32(256) {
		check(code<<8, EventExited, 0)
	}
	for sig := uint32(1); sig <= 64; sig++ {
		check(sig, EventExited, 0)
		check(sig|0x80, EventExited, 0)
		check(sig<<8|0x7f, EventSignal, unix.Signal(sig))
		for event := uint32(1); event < 0x100; event++ {
			want, stop := EventOther, unix.Signal(0)
			switch {
			case event == unix.PTRACE_EVENT_STOP && sig >= uint32(unix.SIGSTOP) && sig <= uint32(unix.SIGTTOU): // 19 to 22
				want, stop = EventGroupStop, unix.Signal(sig)
			case event == unix.PTRACE_EVENT_STOP:
				want = EventStop
			case event == unix.PTRACE_EVENT_SECCOMP:
				want = EventSeccomp
			case event <= unix.PTRACE_EVENT_CLONE:
				want = EventFork
			case event == unix.PTRACE_EVENT_EXEC:
				want = EventExec
			case event == unix.PTRACE_EVENT_EXIT:
				want = EventExit
			}
			check(event<<16|sig<<8|0x7f, want, stop)
		}
	}
	check(uint32(unix.SIGTRAP|0x80)<<8|0x7f, EventSyscall, 0)
}

// A tracee's end is believed of nothing but an end: its number would be forgotten.
func FuzzClassify(f *testing.F) {
	for _, status := range []uint32{0, 9, 0x137f, 0x80137f, 0x857f, 0x07057f, 0xffff} {
		f.Add(status)
	}
	f.Fuzz(func(t *testing.T, status uint32) {
		got, sig := Classify(unix.WaitStatus(status))
		w := unix.WaitStatus(status)
		if ended := w.Exited() || w.Signaled(); (got == EventExited) != ended {
			t.Errorf("%#x: event %d", status, got)
		}
		if sig != 0 && got != EventSignal && got != EventGroupStop {
			t.Error(fmt.Sprintf("%#x", status), "has a signal to deliver")
		}
	})
}
