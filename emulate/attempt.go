package emulate

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// request is a call of the family as the kernel reads its registers. The older calls
// name their target by number and have flags that say what they mean by it.
type request struct {
	what  arch.Syscall
	pidfd int32 // pidfd_send_signal's
	tgid  int32 // of tgkill and rt_tgsigqueueinfo; numbers are as the caller counts
	pid   int32 // of all but pidfd_send_signal; of a group 0, -1 or negative
	sig   int32
	info  uint64
	given bool // the kernel reads a siginfo, wherever it is said to be
	flags uint32
}

// requestOf reads the registers of a call.
func requestOf(c *shim.Call) request {
	what, args := c.What, &c.Args
	switch what {
	case arch.Kill:
		r := request{what: what, pid: args.Int(0), sig: args.Int(1)}
		if r.pid <= 0 {
			r.flags = flagProcessGroup
		}
		return r
	case arch.Tkill:
		return request{what: what, pid: args.Int(0), sig: args.Int(1), flags: flagThread}
	case arch.Tgkill:
		return request{what: what, tgid: args.Int(0), pid: args.Int(1), sig: args.Int(2), flags: flagThread}
	case arch.RtSigqueueinfo:
		return request{what: what, pid: args.Int(0), sig: args.Int(1), info: args.Pointer(2), given: true}
	case arch.RtTgsigqueueinfo:
		return request{
			what: what, tgid: args.Int(0), pid: args.Int(1), sig: args.Int(2), info: args.Pointer(3),
			given: true, flags: flagThread,
		}
	case arch.PidfdOpen:
		r := request{what: what, pid: args.Int(0)}
		if args.Uint(1)&unix.PIDFD_THREAD != 0 {
			r.flags = flagThread
		}
		return r
	case arch.PidfdGetfd:
		return request{what: what, pidfd: args.Int(0)}
	}
	info := args.Pointer(2)
	return request{what: what, pidfd: args.Int(0), sig: args.Int(1), info: info, given: info != 0, flags: args.Uint(3)}
}

// getsHandle tells the calls that send nothing.
func (r *request) getsHandle() bool { return r.what == arch.PidfdOpen || r.what == arch.PidfdGetfd }

// byNumber tells the older calls, which the kernel always has, from those that name a descriptor.
func (r *request) byNumber() bool {
	return r.what != arch.PidfdSendSignal && r.what != arch.PidfdGetfd
}

// attempt is what one call has learned so far.
type attempt struct {
	call    *shim.Call
	backend shim.Backend
	req     request
	facts
	known    known // of its route
	inCaller bool  // the caller is to make the call: the kernel judges it there

	policy *policy.Policy // nil: everything is allowed
	logs   *policy.Policy // what it says is noted, and nothing else
	query  policy.Query
	fixed  bool // the policy allows it, whatever else may be found out

	mustLetGo   bool      // somebody, who is let go after the answer: see LetGo
	hold        shim.Hold // on the target, for the call that the caller is to make
	member      bool      // one of a group's: the call goes on after it
	ancestry    ancestry
	generations int   // climbed
	out         bool  // something was sent: the call cannot begin anew
	cut         error // of spend: it goes on elsewhere, or nowhere
}

// facts are what the checks of a call look at, each found out once.
type facts struct {
	caller *caller // who calls
	target target  // whom the descriptor names

	// pendingErrno is the first failed check of those that need the descriptor or the
	// caller's memory, in the kernel's order.
	pendingErrno unix.Errno

	info     arch.Siginfo
	hasInfo  bool
	infoRead bool // tried already
	isCaller bool // the descriptor names the calling thread's own id ("self" of check 10)

	kernelChecks bool // the kernel makes the checks as it sends

	creds    creds
	hasCreds bool
}

// group reports without a look at the descriptor whether a process group is meant.
func (a *attempt) group() bool { return a.req.flags&flagProcessGroup != 0 }

// scope says whom of the target a signal goes to.
type scope uint8

const (
	scopeProcess scope = iota
	scopeThread
	scopeGroup
)

// asks is what the policy still needs besides registers.
func (a *attempt) asks() policy.Fact {
	if a.policy == nil || a.fixed {
		return 0
	}
	return a.policy.Needs()
}

// memberwise reports whether the policy has to be asked about each member of a group.
func (a *attempt) memberwise() bool {
	return a.policy != nil && !a.fixed && a.policy.AsksTarget()
}

// callerCreds reads the ids of the calling thread: credentials are per thread.
func (a *attempt) callerCreds(ts *task.View) error {
	c := a.caller
	if a.hasCreds {
		return nil
	}
	if ts.Features.Info && ts.Features.ThreadPidfd {
		var info proc.Info
		if err := proc.PidfdInfo(c.pidfd, &info); err != nil {
			return err
		}
		a.hasCreds = true
		a.creds = creds{tgid: c.tgid, ruid: info.RUID, euid: info.EUID, suid: info.SUID, rgid: info.RGID}
		a.call.Record.CallerIDs = shim.IDs{Known: true, Tgid: c.tgid, UID: info.RUID, Handle: c}
		return nil
	}
	var status proc.Status
	if err := c.dir.Status(&status); err != nil {
		return err
	}
	a.creds, a.hasCreds = credsOf(&status), true
	return nil
}

// note writes down which rule decided, and how.
func (a *attempt) note(v policy.Verdict) {
	r := &a.call.Record
	r.Rule, r.Denied, r.Logged = v.Rule, !v.Allow, v.Log
}

// commit and committed stand right before and after the one thing that must not be done
// twice. Of a group it is the whole that counts. False: it must not be done, and a.cut says why.
func (a *attempt) commit() bool {
	if a == nil || a.req.sig == 0 || a.member || a.call.BeginSend() {
		return true
	}
	a.cut = shim.ErrGone
	return false
}

func (a *attempt) committed(errno unix.Errno) {
	if a != nil && !a.member {
		a.call.Sent(shim.Fail(errno))
	}
}

// What one call may cost the worker that every other caller waits for: so many processes
// that it looks at in a list, climbs by, or sends to. A call that needs more is carried out
// from the deferred queue, from its start: nothing of it has gone out by then. There it is
// asked from time to time whether anybody still waits for it.
const (
	quickLooks       = 2048
	quickGenerations = 256
	quickMembers     = 8

	looksBetween = 64 // two questions whether the caller still waits
)

// spend counts one step of a call. helper.ErrLate: it has had its share here.
// shim.ErrGone: nobody waits for it.
func (a *attempt) spend(steps *int, quick int) error {
	*steps++
	switch {
	case *steps >= quick && a.mayDefer():
		return helper.ErrLate
	case *steps%looksBetween == 0 && !a.member && !a.out && a.backend != nil:
		return a.backend.Blocked(a.call)
	}
	return nil
}

// mayDefer reports whether the call can still be carried out from the deferred queue: none of
// it has gone out.
func (a *attempt) mayDefer() bool { return !a.call.Slow && !a.member && !a.out }

// isCut reports whether spend has ended a call with this error.
func isCut(err error) bool {
	return errors.Is(err, helper.ErrLate) || errors.Is(err, shim.ErrGone)
}

// cutShort is the verdict on such a call.
func cutShort(err error) shim.Verdict {
	if errors.Is(err, helper.ErrLate) {
		return shim.Later()
	}
	return shim.Gone()
}

// creds are the ids that the permission rule compares, as the supervisor's user
// namespace numbers them.
type creds struct {
	tgid             int32
	ruid, euid, suid uint32
	rgid             uint32 // for policies alone
}

func credsOf(s *proc.Status) creds {
	return creds{tgid: s.Tgid, ruid: s.UID[0], euid: s.UID[1], suid: s.UID[2], rgid: s.GID[0]}
}
