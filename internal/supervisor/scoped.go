package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// CanScope says why the kernel cannot keep signals inside a domain, or nil.
func CanScope() error {
	if kernel.LandlockScopesSignals() {
		return nil
	}
	return errors.New("--scope-signals: this kernel's Landlock cannot (Linux 6.12): use --policy with a rule that allows target: {relation: [sandbox]} and default: deny")
}

// LaunchScoped starts a command in a Landlock domain whose members signal nobody outside.
// Nothing is intercepted. start runs on a thread that ends after it, and with it the domain
// of ours.
func LaunchScoped(start func() (int, func(), error)) (int, error) {
	type result struct {
		pid int
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked
		r := result{err: scopeSignals()}
		var stay func()
		if r.err == nil {
			r.pid, stay, r.err = start()
		}
		results <- r
		if r.err == nil && stay != nil {
			stay()
		}
	}()
	r := <-results
	return r.pid, r.err
}

// scopeSignals puts the calling thread into a domain. Without the privilege to do so it first
// gives up that of set-uid programs, as under a filter.
func scopeSignals() error {
	if unix.Gettid() == unix.Getpid() {
		return errors.New("--scope-signals: on the main thread, which cannot end")
	}
	ruleset, errno := sys.LandlockCreateRuleset(&unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_SIGNAL})
	if errno != 0 {
		return fmt.Errorf("--scope-signals: %w", os.NewSyscallError("landlock_create_ruleset", errno))
	}
	defer unix.Close(ruleset)
	errno = sys.LandlockRestrictSelf(ruleset)
	if errno == unix.EPERM {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err)
		}
		errno = sys.LandlockRestrictSelf(ruleset)
	}
	if errno != 0 {
		return fmt.Errorf("--scope-signals: %w", os.NewSyscallError("landlock_restrict_self", errno))
	}
	return nil
}
