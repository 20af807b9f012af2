package kernel

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestReach makes calls under filters of ours that answer first, as a sandbox around us would.
func TestReach(t *testing.T) {
	skip.If(t, Listener())
	skip.If(t, ptraceSeize())
	reaches := map[string]func(uint32) (Outcome, error){"notify": notifiedHere, "ptrace": tracedHere}
	for name, reach := range reaches {
		for _, row := range []struct {
			name   string
			action uint32
			want   Outcome
		}{
			{"none", unix.SECCOMP_RET_ALLOW, Outcome{}},
			{"log", unix.SECCOMP_RET_LOG, Outcome{}},
			{"EPERM", unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), Outcome{AnsweredFirst, unix.EPERM}},
			{"ENOSYS", unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), Outcome{AnsweredFirst, unix.ENOSYS}},
			{"EBADF", unix.SECCOMP_RET_ERRNO | uint32(unix.EBADF), Outcome{AnsweredFirst, unix.EBADF}},
			{"success", unix.SECCOMP_RET_ERRNO, Outcome{AnsweredFirst, 0}},
			{"trap", unix.SECCOMP_RET_TRAP, Outcome{Trapped, 0}},
			{"kill thread", unix.SECCOMP_RET_KILL_THREAD, Outcome{Killed, 0}},
			{"kill process", unix.SECCOMP_RET_KILL_PROCESS, Outcome{Killed, 0}},
		} {
			t.Run(name+"/"+row.name, func(t *testing.T) {
				underFilter(t, unix.BPF_JEQ, unix.SYS_PIDFD_SEND_SIGNAL, row.action, func() {
					got, err := reach(unix.SYS_PIDFD_SEND_SIGNAL)
					if got != row.want || err != nil {
						t.Errorf("%v, %v, want %v", got, err, row.want)
					}
				})
			})
		}
	}
}
