package audit

import (
	"strings"
	"testing"
)

// The golden file is what a user sees.
func TestTraceGolden(t *testing.T) {
	var text strings.Builder
	for _, e := range examples() {
		w, end := collect(t)
		e.call.Decode()
		NewTrace(w).After(&e.call, e.verdict, e.answered)
		text.WriteString("# " + e.name + "\n" + end())
	}
	golden(t, "trace.txt", text.String())
}

// The line that the documents show.
func TestTraceAsDocumented(t *testing.T) {
	e := examples()[0]
	e.call.Decode()
	got := string(appendTrace(nil, &e.call, e.verdict, nil))
	want := "[4711] pidfd_send_signal(3</proc/4712>, SIGTERM, {si_signo=SIGTERM, si_code=SI_QUEUE, si_pid=4711, " +
		"si_uid=0, si_int=7, si_ptr=0x7}, 0) = 0 (emulate: rt_sigqueueinfo)\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestTraceAllocatesNothing(t *testing.T) {
	e := examples()[0]
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = appendTrace(buf[:0], &e.call, e.verdict, nil) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}
