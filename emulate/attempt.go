package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// attempt is what one call has learned so far.
type attempt struct {
	call *shim.Call
	req  request

	caller *caller // who calls; set by Resolve
	target target  // whom the descriptor names

	// early is the first failed check of those that need the descriptor or the
	// caller's memory, in the kernel's order; Decide returns it in its place.
	early unix.Errno

	info     arch.Siginfo
	hasInfo  bool
	infoRead bool // tried already
	judged   bool // the kernel makes the checks as it sends
	isCaller bool // the descriptor names the calling thread's own id ("self" of check 10)

	creds    creds
	hasCreds bool

	policy   *policy.Policy // nil: everything is allowed
	logs     *policy.Policy // what it says is noted, and nothing else
	query    policy.Query
	hold     shim.Hold // on the target, for the call that the caller is to make
	fixed    bool      // the policy allows it, whatever else may be found out
	inCaller bool      // the caller is to make the call: the kernel judges it there

	member      bool // one of a group's: the call goes on after it
	ancestry    ancestry
	generations int   // climbed
	out         bool  // something was sent: the call cannot begin anew
	cut         error // of spend: it goes on elsewhere, or nowhere
}

type outcome uint8

const (
	resolved outcome = iota
	gone
	later
)
