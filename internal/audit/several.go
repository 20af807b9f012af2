package audit

import "github.com/pidfd-shim/pidfd-shim/shim"

// Several lets more than one observer watch, in the order given. Only one of them may
// keep notes in the Record.
type Several []shim.Observer

// BeforeSend implements shim.Witness, for those that do.
func (s Several) BeforeSend(c *shim.Call) {
	for _, o := range s {
		if w, ok := o.(shim.Witness); ok {
			w.BeforeSend(c)
		}
	}
}

// Before implements shim.Observer.
func (s Several) Before(c *shim.Call, v shim.Verdict) {
	for _, o := range s {
		o.Before(c, v)
	}
}

// After implements shim.Observer.
func (s Several) After(c *shim.Call, v shim.Verdict, answered error) {
	for _, o := range s {
		o.After(c, v, answered)
	}
}
