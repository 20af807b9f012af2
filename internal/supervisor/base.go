package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Base is what every supervisor is made from: what was decided, and what it needs of its own,
// opened before a command starts, so that nothing that it relies on comes out of the
// sandbox. It answers no call: Run, Traced and Attached do.
type Base struct {
	Plan     Plan
	Features kernel.Features
	Proc     *proc.FS
	Log      *slog.Logger

	// Others are handlers of calls that this program does not know, by their numbers.
	Others map[shim.Number]shim.Handler

	// Helper starts this program in a role of its own (`__reader`) on one end of a socket
	// pair.
	Helper func(name role.Name, socket *os.File) (*os.Process, error)

	// Wrap, if not nil, stands in front of the backend, and Between in a hop's steps: tests.
	Wrap    func(shim.Backend) shim.Backend
	Between func(inject.Step)

	options Options
	policy  *policy.Policy // the one that the filter is made of
	live    *policy.Live
	self    task.Self

	helpers *helper.All
	readers *helper.Pool[*helper.Helper]
	hoppers *inject.Pool
	known   *emulate.Known // of all that are attached
	held    *tracee.Held
	pins    *tracee.Pins
}

// New probes, opens what the supervisor needs of its own, and decides how calls will be
// answered.
func New(o Options, f kernel.Features, log *slog.Logger) (*Base, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	plan, err := o.Resolve(f)
	if err != nil {
		return nil, err
	}
	fs, err := proc.Open()
	if err != nil {
		return nil, fmt.Errorf("open procfs: %w", err)
	}
	self, err := task.ReadSelf(fs)
	if err != nil {
		return nil, plan.blame(f, err)
	}
	if plan.Family || plan.Entries {
		f.SendSignal = false
	}
	log.Info("chose how calls are answered", "backend", plan.Backend, "mode", plan.Mode, "why", plan.Why)
	b := &Base{
		Plan: plan, Features: f, Proc: fs, Log: log, self: self, helpers: &helper.All{}, known: &emulate.Known{}, held: &tracee.Held{},
		options: o, policy: o.policy, live: policy.NewLive(o.policy),
	}
	b.pins = &tracee.Pins{Held: b.held}
	b.readers, b.hoppers = b.newReaders(), b.newHoppers()
	return b, nil
}

// Close ends the helper processes, so that no children of the supervisor are left but
// COMMAND's. Precondition: called by the thread that reaps.
func (b *Base) Close() { b.helpers.Stop() }

// Judging makes a base like b, for attaching, that judges by p; nil allows everything. It
// shares all that b has opened.
func (b *Base) Judging(p *policy.Policy) (*Base, error) {
	own := *b
	own.options.policy = p
	plan, err := own.options.Resolve(b.Features)
	if err != nil {
		return nil, err
	}
	own.Plan, own.policy, own.live = plan, p, policy.NewLive(p)
	return &own, nil
}

// Judge puts p in force for every call, from now on, of all that were attached from b.
func (b *Base) Judge(p *policy.Policy) { b.live.Replace(p) }

// Policy is what is in force now; nil allows everything.
func (b *Base) Policy() *policy.Policy { return b.live.Current() }

// Program is the filter of a command that is to be attached by the listener that it makes.
func (b *Base) Program() ([]unix.SockFilter, error) { return notify.Compile(b.interception().filter()) }

func (b *Base) interception() *interception {
	return &interception{
		plan: b.Plan, features: b.Features, policy: b.policy, others: b.Others, observed: b.options.Observed, watches: b.watches(),
	}
}

// watches tells whether calls that change whom a caller may signal are to be seen.
func (b *Base) watches() bool {
	return b.Plan.Mode != emulate.ModeContinue && (b.Features.Continue || b.Plan.Backend == BackendPtrace)
}

// newWatch is of a filter that notifies of them; nil where nobody has to know.
func (b *Base) newWatch() *emulate.Watch {
	if !b.watches() {
		return nil
	}
	return &emulate.Watch{Proc: b.Proc}
}

// mayBeRestarted tells whether an answered call may be made again although it waits killably.
// It takes some milliseconds to find out: only where we send in a caller's name.
func (b *Base) mayBeRestarted() bool {
	switch b.Plan.Mode {
	case emulate.ModeForward, emulate.ModeEmulate, emulate.ModeAuto:
		return b.Features.KillableBroken || errors.Is(kernel.WaitKillableHolds(), errors.ErrUnsupported)
	}
	return false
}

// helperDeadline is how long a helper process may take: a read of memory that answers
// takes microseconds.
const helperDeadline = 50 * time.Millisecond

func (b *Base) helper(name role.Name) helper.Helper {
	return helper.Helper{
		Command:  func(socket *os.File) (*os.Process, error) { return b.Helper(name, socket) },
		Deadline: helperDeadline,
		All:      b.helpers,
	}
}

// service is the part that answers. root is who the command's orphans go to.
func (b *Base) service(root int32) Service {
	front := int32(os.Getppid())
	if root != b.self.Pid {
		front = b.tasks().stat(root).PPid
	}
	return Service{Base: b, Log: b.Log, watch: b.newWatch(), root: root, front: front}
}

// TracerOf tells who traces a thread: 0 for nobody, or where it has ended.
func (b *Base) TracerOf(tid int32) (pid int32, err error) { return b.tasks().tracerOf(tid) }
