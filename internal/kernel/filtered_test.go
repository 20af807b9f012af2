package kernel

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// TestMarkedCallsUnderFilter asks for the x32 ABI under filters that answer for the kernel: it is
// told what they let a program see, and lives where they kill.
func TestMarkedCallsUnderFilter(t *testing.T) {
	asUnfiltered := errors.Is(markedCalls(), errors.ErrUnsupported)
	for name, row := range map[string]struct {
		action uint32
		right  func(error) bool
	}{
		"allowed":       {unix.SECCOMP_RET_ALLOW, func(err error) bool { return errors.Is(err, errors.ErrUnsupported) == asUnfiltered }},
		"absent":        {unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), func(err error) bool { return errors.Is(err, errors.ErrUnsupported) }},
		"refused":       {unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), func(err error) bool { return errors.Is(err, unix.EPERM) }},
		"killed":        {unix.SECCOMP_RET_KILL_PROCESS, isKilled},
		"thread killed": {unix.SECCOMP_RET_KILL_THREAD, isKilled},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			underFilter(t, unix.BPF_JSET, arch.ForeignMark, row.action, func() { err = markedCalls() })
			if !row.right(err) {
				t.Errorf("x32: %v", err)
			}
		})
	}
}

func isKilled(err error) bool {
	return err != nil && !errors.Is(err, errors.ErrUnsupported) && strings.Contains(err.Error(), "under this filter ended")
}

// TestLandlockUnderFilter: a filter that refuses to say which Landlock there is must not
// have us send in the name of callers that it may confine.
func TestLandlockUnderFilter(t *testing.T) {
	for errno, want := range map[unix.Errno]bool{unix.ENOSYS: false, unix.EOPNOTSUPP: false, unix.EPERM: true, unix.EACCES: true} {
		var scopes bool
		underFilter(t, unix.BPF_JEQ, unix.SYS_LANDLOCK_CREATE_RULESET, unix.SECCOMP_RET_ERRNO|uint32(errno), func() { scopes = LandlockScopesSignals() })
		if scopes != want {
			t.Errorf("%v: Landlock may scope signals: %v, want %v", errno, scopes, want)
		}
	}
}

// underFilter runs f on a thread on which calls whose number matches end by action.
func underFilter(t *testing.T, match uint16, number, action uint32, f func()) {
	t.Helper()
	var err error
	onThrowawayThread(func() {
		if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return
		}
		if _, err = seccompFilter(0,
			unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // nr of struct seccomp_data
			unix.SockFilter{Code: unix.BPF_JMP | match | unix.BPF_K, K: number, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		); err == nil {
			f()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
