package main

import (
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// awaited are observers whose end waits for the calls that are under way. An answered
// caller runs on at once: it may have ended, and with it the last of COMMAND, before
// the line about its call is made.
type awaited struct {
	audit.Several
	calls sync.RWMutex // a reader is a call between Before and After
}

// Before implements shim.Observer.
func (a *awaited) Before(c *shim.Call, v shim.Verdict) {
	a.calls.RLock()
	a.Several.Before(c, v)
}

// After implements shim.Observer.
func (a *awaited) After(c *shim.Call, v shim.Verdict, answered error) {
	a.Several.After(c, v, answered)
	a.calls.RUnlock()
}

// wait returns when each call that was answered has been seen.
func (a *awaited) wait() {
	a.calls.Lock()
	defer a.calls.Unlock()
}
