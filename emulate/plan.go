package emulate

import (
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// plan is what routes depend on and no call changes.
type plan struct {
	mode      Mode
	rules     Rules
	native    Rules
	hasCall   bool // the kernel has pidfd_send_signal
	mayPass   bool // Config's, as the next two
	continues bool
	unsafe    bool
	traced    bool // there is a Keeper
	restarts  bool // there is a Ledger
	makesOwn  bool // see condition
}

// planOf reads the configuration. A caller makes the very call where the kernel has it and may
// run it: nothing is to be rewritten, so no filter of its own is asked about another call, and
// no number has to be kept. Under serve it is held all the same: the filter around it is
// somebody else's.
func planOf(c *Config) plan {
	return plan{
		mode: c.Mode, rules: c.Rules, native: NativeRules(c.Features), hasCall: c.Features.SendSignal,
		mayPass: c.MayPass, continues: c.Continues, unsafe: c.Unsafe, traced: c.Keeper != nil, restarts: c.Ledger != nil,
		makesOwn: c.Mode == ModeCaller && (c.Keeper != nil || c.Sandbox == nil),
	}
}

// path is forward where the kernel has the call and means the same by it.
func (p *plan) path(a *attempt) shim.Path {
	if p.mode != ModeEmulate && p.sendsByHandle(a) {
		return shim.PathForward
	}
	return shim.PathEmulate
}

func (p *plan) sendsByHandle(a *attempt) bool {
	return p.hasCall && (!p.rules.Original || a.req.byNumber()) && a.req.flags&^p.native.Flags == 0 &&
		(!a.target.self || p.native.SelfThread != 0)
}

// leavesSiginfo reports whether no rule asks for siginfo, which the kernel would read again.
func (p *plan) leavesSiginfo(a *attempt) bool {
	return p.unsafe || !a.req.given || a.asks()&(policy.Code|policy.Value) == 0
}
