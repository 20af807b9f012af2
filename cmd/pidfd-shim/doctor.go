package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/agent"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

func newDoctorCommand() *cobra.Command {
	var asJSON bool
	var control string
	var o supervisor.Options
	cmd := &cobra.Command{
		Use:   "doctor [--json] [--policy FILE] [--control PATH]",
		Short: "Try each kernel feature, say what run would use and why",
		Long: `Try each kernel feature by using it harmlessly, never by its version, and say what
"run" would use and why; the verdict comes first. "unknown" is a feature that could not be tried: a sandbox or a
lack of privilege is in the way, and the shim does not rely on it.

Real calls are made under a filter of ours, too: a sandbox around us may answer first.

The end says which capabilities "serve" keeps and what for, and what it has the kernel
refuse it. With --control it is a running agent that is asked what it has.

Ends with 1 if "run" cannot work here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return doctor(cmd, o, control, asJSON) },
	}
	cmd.Flags().StringVar(&o.PolicyFile, "policy", "", "say what run would use under the policy in `FILE`")
	cmd.Flags().BoolVar(&o.UnsafeContinue, "unsafe-continue", false, "and with run's flag of that name")
	cmd.Flags().StringVar(&control, "control", "", "and what the agent may do whose control socket is `PATH`")
	completeFile(cmd, "policy", policyEndings...)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, for programs")
	return cmd
}

// report is what doctor found. Its JSON form is stable: names are only added.
type report struct {
	Kernel   string            `json:"kernel"`
	Features []finding         `json:"features"`
	Run      way               `json:"run"`
	Lacks    bool              `json:"-"` // the kernel has no pidfd_open
	Boxed    string            `json:"-"` // or a sandbox has it, or the call: how
	Ways     []way             `json:"ways"`
	Reach    []reach           `json:"reach"`
	Serve    limits            `json:"serve"`
	Agent    *agent.Privileges `json:"agent,omitempty"` // with --control
}

type finding struct {
	Name   string `json:"name"`
	Since  string `json:"since"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
	What   string `json:"what"`
	Why    string `json:"why,omitempty"` // what was tried and what came of it
}

// reach is what became of a real call under a filter of ours: a sandbox around us may answer
// it first.
type reach struct {
	Call    string `json:"call"`
	Backend string `json:"backend"`
	Outcome string `json:"outcome"` // "reaches us", "answered by ERRNO EPERM", "trapped", ..., "unknown"
	Why     string `json:"why,omitempty"`
}

func reaches() (list []reach) {
	for _, call := range []struct {
		name string
		nr   uint32
	}{{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL}, {"pidfd_open", unix.SYS_PIDFD_OPEN}} {
		for _, backend := range []string{supervisor.BackendNotify, supervisor.BackendPtrace} {
			r := reach{Call: call.name, Backend: backend, Outcome: kernel.Unknown}
			outcome, err := supervisor.Reach(backend, call.nr)
			if err != nil {
				r.Why = err.Error()
			} else {
				r.Outcome = outcome.String()
			}
			list = append(list, r)
		}
	}
	return list
}

func doctor(cmd *cobra.Command, o supervisor.Options, control string, asJSON bool) error {
	f, err := features()
	if err != nil {
		return err
	}
	if err := o.LoadPolicy(); err != nil {
		return err
	}
	r := examine(f, o)
	r.Serve = limitsOfServe()
	if control != "" {
		if err := askAgent(cmd.Context(), control, "/privileges", &r.Agent); err != nil {
			return err
		}
	}
	if asJSON {
		encoder := json.NewEncoder(cmd.OutOrStdout())
		encoder.SetIndent("", "  ")
		err = encoder.Encode(r)
	} else {
		err = r.print(cmd.OutOrStdout())
	}
	if err != nil {
		return fmt.Errorf("print what was found: %w", err)
	}
	if !r.Run.Available {
		return fmt.Errorf("choose a backend: %s", r.Run.Why)
	}
	return nil
}

func examine(f kernel.Features, o supervisor.Options) report {
	set := kernel.Probe()
	seize, _ := set.Find("PTRACE_SEIZE")
	order, _ := set.Find("trace order")
	f.OldTraceOrder = f.OldTraceOrder || order.State() == kernel.Absent
	all := ways(f, o, seize.Err == nil)
	r := report{Kernel: release(), Ways: all, Run: all[0], Lacks: !f.PidfdOpen && f.OpenFirst.Reach == kernel.ReachesUs, Reach: reaches(), Boxed: boxed(f)}
	for _, result := range set {
		found := finding{
			Name: result.Name, Since: result.Since, What: result.What,
			State: result.State(), Detail: result.Detail,
		}
		if result.Err != nil {
			found.Why = result.Err.Error()
		}
		r.Features = append(r.Features, found)
	}
	return r
}

func (r report) print(out io.Writer) error {
	var w bytes.Buffer
	r.printVerdict(&w)
	table := func(heading ...string) *columns {
		return &columns{rows: [][]string{heading}, colour: wantsColour(out)}
	}
	features := table("FEATURE", "SINCE", "HERE", "USE")
	for _, f := range r.Features {
		use := f.What
		if f.State == kernel.Unknown {
			use = f.Why
		}
		if f.Detail != "" {
			use += " (" + f.Detail + ")"
		}
		features.add(f.Name, f.Since, f.State, use)
	}
	calls := table("A REAL CALL", "BY", "WHAT COMES OF IT UNDER OUR FILTER")
	for _, call := range r.Reach {
		outcome := call.Outcome
		if call.Why != "" {
			outcome += ": " + call.Why
		}
		calls.add(call.Call, call.Backend, outcome)
	}
	ways := table("BACKEND", "MODE", "GUARD", "WHAT A PROGRAM MAY NOTICE, OR WHY NOT")
	for _, way := range r.Ways {
		guard, what := way.Guard, way.Fidelity
		if !way.Available {
			guard, what = "not here", way.Why
		}
		ways.add(way.Backend, way.Mode, guard, what)
	}
	rights := table("CAPABILITY", "HERE", "WHAT serve NEEDS IT FOR: IT GIVES UP ALL OTHERS")
	refusals := table("REFUSED", "CALLS", "WHAT serve CANNOT BE MADE TO TOUCH")
	r.Serve.tell(rights, refusals)
	for _, c := range []*columns{features, calls, ways, rights, refusals} {
		fmt.Fprintln(&w)
		c.write(&w)
	}
	if r.Agent != nil {
		printPrivileges(&w, *r.Agent)
	}
	_, err := w.WriteTo(out)
	return err
}

// printVerdict says first what the rest is read for.
func (r report) printVerdict(w io.Writer) {
	say := func(text string) { fmt.Fprintln(w, wrap(text, width, "  ")) }
	if !r.Run.Available {
		say("run cannot work here: " + r.Run.Why)
		return
	}
	say("run works here")
	switch {
	case r.Boxed != "":
		say(r.Boxed)
	case r.Run.Family:
		say("process descriptors, which this kernel lacks (pidfd_open, Linux 5.3), are given by --family auto: programs that ask for them " +
			"(tried on 4.19: Go, CPython, pidwait) work as on a newer kernel, traced: some 100 us to get one, and a stop of " +
			"some 10 us for a wait, or for an open of who has had one; --family off keeps from it")
	case r.Lacks:
		say("process descriptors, which this kernel lacks (pidfd_open, Linux 5.3), are given under --backend ptrace alone: " +
			"else only programs that open /proc/PID are served")
	}
	say(fmt.Sprintf("run would use: backend %s, mode %s, guard %s (%s)", r.Run.Backend, r.Run.Mode, r.Run.Guard, r.Run.Why))
	say("a program may notice: " + r.Run.Fidelity)
}

// boxed says what a sandbox around us does to the calls, and what gets past it.
func boxed(f kernel.Features) string {
	first := f.SendFirst
	if first.Reach == kernel.ReachesUs {
		first = f.OpenFirst
	}
	switch first.Reach {
	case kernel.ReachesUs:
		return ""
	case kernel.Trapped:
		return "a sandbox around us traps calls of process descriptors (SIGSYS): --backend ptrace takes those signals, and gives the descriptors " +
			"as on a kernel that has none; other calls that it traps fail as if there were none of them with --on-trap enosys"
	}
	return "a sandbox around us comes first (" + first.String() + "): --intercept entry catches calls before it, by stopping COMMAND at each of its calls (slow)"
}

// release is the kernel's name for itself: printed for bug reports, never compared.
func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(name.Release[:])
}
