package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// LaunchTraced starts the command under the filter of the ptrace backend.
func (b *Base) LaunchTraced(l *ptrace.Launcher) (int, error) {
	if err := checkTraceOrder(b.Features); err != nil {
		return 0, err
	}
	if tracer, err := b.TracerOf(b.self.Pid); err == nil && tracer != 0 {
		return 0, fmt.Errorf("--backend ptrace: process %d traces us already, and so whatever we start (a debugger, strace -f, an outer run): run pidfd-shim outside of it", tracer)
	}
	if err := b.Plan.CheckReach(); err != nil {
		return 0, err
	}
	program, err := notify.Compile(b.interception().filter())
	if err != nil {
		return 0, err
	}
	l.Install = func() (int, error) { return notify.InstallTrace(program, b.Features.Notify) }
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2)) // the tracer serves; each takes threads
	return l.Launch()
}

// checkTraceOrder refuses kernels on which a rewritten call would not be the one that runs.
// Where it cannot be told, the start of COMMAND says what is wrong.
func checkTraceOrder(f kernel.Features) error {
	if f.OldTraceOrder || errors.Is(kernel.TraceOrder(), errors.ErrUnsupported) {
		return errors.New("--backend ptrace: " + OldTraceOrder)
	}
	return nil
}

// blame says why a run cannot start: what is missing first where more is missing. A
// kernel that is not Linux (gVisor) fails by its /proc before it is asked for its order.
func (p Plan) blame(f kernel.Features, err error) error {
	if p.Backend == BackendPtrace {
		if order := checkTraceOrder(f); order != nil {
			return order
		}
	}
	return err
}

// OldTraceOrder is why the ptrace backend cannot be had on some kernels.
const OldTraceOrder = "this kernel filters a call before its entry stop (Linux before 4.8, gVisor), so that a tracer cannot answer it: nothing here can"

// Traced is the tracer process of a command: it answers its calls, and is not its parent.
type Traced struct {
	Service
	tracer *ptrace.Tracer
	family *family.Table // nil unless the plan says so
}

// Traced makes the tracer's part.
func (b *Base) Traced() *Traced {
	return &Traced{Service: b.service(int32(os.Getppid()))}
}

// Serve seizes the command, says so, and answers calls until the last tracee has ended.
func (t *Traced) Serve(pid int32, seized func(error)) error {
	tasks := t.tasks()
	t.tracer = ptrace.New(pid, seized, t.Log)
	t.tracer.Init, t.tracer.Ended, t.tracer.Tagged = tasks.isInit, tasks.hasEnded, t.Features.NoSyscallInfo
	t.tracer.Threads, t.tracer.Observe = tasks.threads, t.Observer
	if err := t.passSandbox(); err != nil {
		return err
	}
	t.backend = t.tracer
	if t.Plan.Family {
		if err := t.keepFamily(); err != nil {
			return err
		}
	}
	pool, err := shim.NewPool(tracerThreads())
	if err != nil {
		return err
	}
	defer t.helpers.Close()
	loop := t.loop(t, pool)
	loop.Alone = true // a tracer's work is that of one thread
	return loop.Serve()
}

func (t *Traced) keepFamily() (err error) {
	if t.family, err = family.New(t.Proc, t.self.Pidns, t.tracer.Traces); err != nil {
		return fmt.Errorf("keep process descriptors: %w", err)
	}
	t.tracer.Ends = t.family
	t.family.Opens, err = notify.Compile(t.interception().opens())
	return err
}

// config has the tracer do what threads and helpers do elsewhere. To resume a tracee is to
// continue its call.
func (t *Traced) config(c *emulate.Config) {
	c.Keeper, c.Pinner, c.Family = t.tracer, nil, t.family
	c.NeverBlock, c.Continues = true, true
	c.MayPass = t.Features.SendSignal && t.ownRules()
}

func (t *Traced) handlers(calls *emulate.SendSignal) *shim.Handlers {
	handlers := t.commandHandlers(calls)
	if t.family != nil {
		descriptors := calls.Descriptors()
		handlers[arch.PidfdOpen], handlers[arch.PidfdGetfd] = calls.Grants().Handle, calls.Grants().Handle
		handlers[arch.Clone] = descriptors.Clone
		handlers[arch.Open], handlers[arch.Openat] = descriptors.Open, descriptors.Open
		handlers[arch.Wait4], handlers[arch.Waitid] = descriptors.Wait, descriptors.Wait
	}
	if t.Plan.carries() {
		handlers[ptrace.Carrier] = passUnseen
	}
	return handlers
}

// carries tells whether calls come to the tracer by way of another.
func (p Plan) carries() bool { return p.Backend == BackendPtrace && (p.Entries || p.Traps) }

// passSandbox has the tracer look for calls that a filter around us answers before ours is asked.
func (t *Traced) passSandbox() error {
	if !t.Plan.carries() {
		return nil
	}
	program, err := notify.Compile(t.interception().filter())
	t.tracer.Sandbox = ptrace.Sandbox{
		Entries: t.Plan.Entries, Traps: t.Plan.Traps, Enosys: t.Plan.Enosys,
		Filter: func(f arch.Frame) uint32 { return notify.Evaluate(program, f) },
	}
	return err
}

// carrier is how our filter knows a call that stands for another.
var carrier = notify.Rule{
	Syscall: ptrace.Carrier,
	When:    []notify.Cond{{Arg: 0, In: []notify.Range{{Low: ptrace.CarrierMark, High: ptrace.CarrierMark}}}},
}

// passUnseen is for a program's own call that looks like the carrier.
func passUnseen(c *shim.Call) shim.Verdict {
	c.Record.Quiet = true
	return shim.Pass()
}
