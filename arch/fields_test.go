package arch

import (
	"encoding/binary"
	"testing"
)

// full is a record in which every member has another value, all of them negative
// where C lets them.
func full(signo, code int32) Siginfo {
	s := NewSiginfo(signo, 0, code)
	for i := 12; i < RecordSize; i++ {
		s[i] = 0x80 + byte(i)
	}
	return s
}

func TestAppendStrace(t *testing.T) {
	value := func(bits uint64) Siginfo {
		s := NewSiginfo(15, 0, SI_QUEUE)
		s.SetSender(4711, 0)
		binary.LittleEndian.PutUint64(s[24:], bits)
		return s
	}
	tests := []struct {
		name string
		s    Siginfo
		want string
	}{
		{"queue", value(7), "{si_signo=SIGTERM, si_code=SI_QUEUE, si_pid=4711, si_uid=0, si_value=7}"},
		{"int of -1", value(0xffffffff), "{si_signo=SIGTERM, si_code=SI_QUEUE, si_pid=4711, si_uid=0, si_value=-1}"},
		{"pointer", value(1 << 32), "{si_signo=SIGTERM, si_code=SI_QUEUE, si_pid=4711, si_uid=0, si_value=0x100000000}"},
		{"all ones", value(1<<64 - 1), "{si_signo=SIGTERM, si_code=SI_QUEUE, si_pid=4711, si_uid=0, si_value=0xffffffffffffffff}"},
		{"errno", NewSiginfo(1, -3, 0), "{si_signo=SIGHUP, si_code=SI_USER, si_errno=-3, si_pid=0, si_uid=0}"},
		{"no names", NewSiginfo(1<<31-1, 0, -1000), "{si_signo=2147483647, si_code=-1000, si_pid=0, si_uid=0, si_value=0}"},
		{"KILL", full(10, SI_KERNEL), "{si_signo=SIGUSR1, si_code=SI_KERNEL, si_pid=-1819111024, si_uid=2543228308}"},
		{"TIMER", full(37, SI_TIMER), "{si_signo=SIGRTMIN+3, si_code=SI_TIMER, si_timerid=-1819111024, si_overrun=-1751738988, si_value=0x9f9e9d9c9b9a9998}"},
		{"POLL", full(29, 1), "{si_signo=SIGIO, si_code=POLL_IN, si_band=-7523661662112280176, si_fd=-1684366952}"},
		{"FAULT", full(11, 1), "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x9796959493929190}"},
		{"MCEERR", full(7, 4), "{si_signo=SIGBUS, si_code=BUS_MCEERR_AR, si_addr=0x9796959493929190, si_addr_lsb=-26216}"},
		{"BNDERR", full(11, 3), "{si_signo=SIGSEGV, si_code=SEGV_BNDERR, si_addr=0x9796959493929190, si_lower=0xa7a6a5a4a3a2a1a0, si_upper=0xafaeadacabaaa9a8}"},
		{"PKUERR", full(11, 4), "{si_signo=SIGSEGV, si_code=SEGV_PKUERR, si_addr=0x9796959493929190, si_pkey=2745344416}"},
		{"PERF", full(5, 6), "{si_signo=SIGTRAP, si_code=TRAP_PERF, si_addr=0x9796959493929190, si_perf_data=0x9f9e9d9c9b9a9998, si_perf_type=2745344416, si_perf_flags=0xa7a6a5a4}"},
		{"CHLD", full(17, 1), "{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=-1819111024, si_uid=2543228308, si_status=-1684366952, si_utime=-6366218896703053408, si_stime=-5787497513998440024}"},
		{"SYS", full(31, 1), "{si_signo=SIGSYS, si_code=SYS_SECCOMP, si_call_addr=0x9796959493929190, si_syscall=-1684366952, si_arch=0x9f9e9d9c}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(AppendStrace(nil, &test.s)); got != test.want {
				t.Errorf("record %x\n got  %s\n want %s", test.s, got, test.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	s := full(15, SI_QUEUE)
	binary.LittleEndian.PutUint32(s[4:], 1)
	want := []Field{
		{"si_signo", "15", "SIGTERM"},
		{"si_errno", "1", ""},
		{"si_code", "-1", "SI_QUEUE"},
		{"si_pid", "-1819111024", ""},
		{"si_uid", "2543228308", ""},
		{"si_value", "0x9f9e9d9c9b9a9998", ""},
	}
	got := Describe(&s)
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d is %v, want %v", i, got[i], want[i])
		}
	}
	s = NewSiginfo(32, 0, -8)
	if got := Describe(&s); got[0].Symbol != "" || got[2].Symbol != "" {
		t.Errorf("numbers without names have symbols: %v", got)
	}
}

// Trace lines are written while a caller waits.
func TestAppendStraceDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 512)
	for signo := int32(0); signo < 200; signo += 3 {
		for code := int32(-1000); code < 1000; code += 7 {
			s := full(signo, code)
			if n := testing.AllocsPerRun(1, func() { dst = AppendStrace(dst[:0], &s) }); n != 0 {
				t.Fatalf("%d allocations for signo %d, code %d", int(n), signo, code)
			}
		}
	}
}
