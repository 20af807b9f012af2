package policy

import "sync/atomic"

// Live is a policy that can be replaced while calls are judged by it: each call is judged
// by one policy from its first rule to its last. The zero Live, and a nil one, have none.
type Live struct{ current atomic.Pointer[Policy] }

// NewLive starts with p, which may be nil.
func NewLive(p *Policy) *Live {
	l := &Live{}
	l.Replace(p)
	return l
}

// Current is the policy in force, or nil.
func (l *Live) Current() *Policy {
	if l == nil {
		return nil
	}
	return l.current.Load()
}

// Replace puts p in force for every call that comes from now on.
func (l *Live) Replace(p *Policy) { l.current.Store(p) }
