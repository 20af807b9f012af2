package pidfdshim

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// An Observer is told of calls that were answered. It is called by several threads at
// once, and the next call of a thread waits for it.
type Observer interface {
	Answered(e Event)
}

// ObserverFunc is a function as an Observer.
type ObserverFunc func(Event)

// Answered calls f.
func (f ObserverFunc) Answered(e Event) { f(e) }

// Event is what became of one call. Pids and tids are numbers of this process's pid namespace.
type Event struct {
	Tid     int32      // the calling thread
	ABI     string     // amd64, i386 or x32
	Syscall string     // pidfd_send_signal, kill, ...; unknown for those of Options.Handlers
	Nr      uint32     // its number in that ABI
	Signal  int32      // as the caller gave it
	Target  int32      // the process that was meant; 0 if it is not known, or was not looked at
	Denied  bool       // by the policy
	Rule    string     // the rule that decided; "" without
	Errno   unix.Errno // what the caller got; 0 also where the kernel gave the answer itself
	Path    string     // none, continue, forward, caller or emulate
	Sent    string     // the system call that carried the signal, or none
	Guard   string     // what kept the target's number its own, or none
}

// observed is an Observer as the loop has it.
type observed struct{ to Observer }

// Before implements shim.Observer.
func (o observed) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (o observed) After(c *shim.Call, v shim.Verdict, _ error) {
	e := Event{
		Tid: c.Tid, ABI: c.ABI.String(), Syscall: c.What.String(), Nr: c.Nr, Signal: c.Record.Sig, Target: c.Record.TargetPid,
		Denied: c.Record.Denied, Rule: c.Record.Rule, Path: c.Record.Path.String(), Sent: c.Record.Sent.String(), Guard: c.Record.Guard.String(),
	}
	if v.Kind == shim.KindFail {
		e.Errno = v.Errno
	}
	o.to.Answered(e)
}
