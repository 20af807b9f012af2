package kernel

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestX32UnderFilter asks for the x32 ABI under filters that answer for the kernel: it is
// told what they let a program see, and lives where they kill.
func TestX32UnderFilter(t *testing.T) {
	for name, row := range map[string]struct {
		action uint32
		right  func(error) bool
	}{
		"allowed": {unix.SECCOMP_RET_ALLOW, func(err error) bool {
			return errors.Is(err, errors.ErrUnsupported) == errors.Is(X32(), errors.ErrUnsupported)
		}},
		"absent":        {unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), func(err error) bool { return errors.Is(err, errors.ErrUnsupported) }},
		"refused":       {unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), func(err error) bool { return errors.Is(err, unix.EPERM) }},
		"killed":        {unix.SECCOMP_RET_KILL_PROCESS, isKilled},
		"killed thread": {unix.SECCOMP_RET_KILL_THREAD, isKilled},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			onThrowawayThread(func() {
				if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err == nil {
					err = filterX32(row.action)
				}
				if err == nil {
					err = X32()
				}
			})
			if !row.right(err) {
				t.Errorf("x32: %v", err)
			}
		})
	}
}

func isKilled(err error) bool {
	return err != nil && !errors.Is(err, errors.ErrUnsupported) && strings.Contains(err.Error(), "under this filter ended")
}

// filterX32 has the calling thread's x32 calls end so.
func filterX32(action uint32) error {
	_, err := seccompFilter(0,
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // nr of struct seccomp_data
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: x32Bit, Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	)
	return err
}
