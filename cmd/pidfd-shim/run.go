package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

const runLong = `run starts COMMAND and answers each of its calls of pidfd_send_signal, and those of
everything it starts, until the last of them has ended. COMMAND keeps its terminal,
its descriptors, its signals and its exit status; nothing of ours is printed unless
asked for.

run ends as COMMAND ends: with its exit status, or by the signal that ended it; with 127
if it was not found, 126 if it could not be executed, 125 for every error of ours.`

const runExample = `  pidfd-shim run -- make check                     run it; the kernel answers where it can
  pidfd-shim run --trace -- COMMAND                one strace-like line a call, on stderr
  pidfd-shim run --audit=calls.jsonl -- COMMAND    one JSON object a call
  pidfd-shim run --mode emulate -- COMMAND         as on a kernel without the call
  pidfd-shim run --policy rules.yaml -- COMMAND    deny what the rules deny`

// runConfig is what run's flags come to. It goes to the supervisor as one word, so
// that nothing is put into the environment, which COMMAND would inherit.
type runConfig struct {
	Session supervisor.Options `json:"session"`
	Trace   string             `json:"trace,omitempty"`   // "-": stderr
	Summary string             `json:"summary,omitempty"` // "-": stderr
	Audit   string             `json:"audit,omitempty"`
	Metrics string             `json:"metrics,omitempty"`
	logging
	Pretend string `json:"pretend,omitempty"`
	Pause   string `json:"pause,omitempty"`
	Protect bool   `json:"protect,omitempty"`
	Scope   bool   `json:"scope,omitempty"`
	Wait    string `json:"wait,omitempty"`

	features kernel.Features // the supervisor's, who asks once
	hangups  chan os.Signal  // see reloadPolicy
}

func newRunCommand() *cobra.Command {
	var c runConfig
	cmd := &cobra.Command{
		Use:     "run [flags] [--] COMMAND [ARG...]",
		Short:   "Run COMMAND under the shim",
		Long:    runLong,
		Example: runExample,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.run(args)
		},
	}
	c.addFlags(cmd)
	return cmd
}

func (c *runConfig) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows COMMAND is COMMAND's
	f.StringVar(&c.Session.Backend, "backend", "auto",
		"how calls are intercepted: "+words(supervisor.Backends)+"; auto takes what works here")
	f.StringVar(&c.Session.Mode, "mode", "auto",
		"how calls are answered: "+words(supervisor.Modes)+"; auto takes the cheapest that is exact")
	f.StringVar(&c.Session.Semantics, "semantics", "native",
		"the rules that COMMAND meets: "+words(supervisor.Semantics)+"; original takes no flags, as first posted")
	f.StringVar(&c.Session.Family, "family", "auto",
		"give COMMAND process descriptors (pidfd_open and what goes with it): "+words(supervisor.Families)+
			"; auto does so where the kernel has none, by --backend ptrace (docs/FIDELITY.md has what differs)")
	f.StringVar(&c.Session.Intercept, "intercept", "auto",
		"where calls are caught: "+words(supervisor.Intercepts)+"; entry catches them before a sandbox around us that refuses them, "+
			"by stopping COMMAND at each of its calls (ptrace: many times slower); auto needs it not, but where doctor says so")
	f.StringVar(&c.Session.OnTrap, "on-trap", "signal",
		"what calls get that a sandbox around us traps, and that are not ours: "+words(supervisor.OnTraps)+
			"; enosys answers them as a kernel that lacks them would, from which programs fall back (ptrace)")
	f.StringVar(&c.Session.PolicyFile, "policy", "", "allow and deny calls by the rules of `FILE` (docs/POLICY.md); without it nothing is denied")
	f.BoolVar(&c.Session.Complain, "complain", false,
		"allow what the policy denies, and write it down as verdict log (--audit, --trace, --metrics): to try a policy before it bites")
	f.BoolVar(&c.Session.UnsafeContinue, "unsafe-continue", false,
		"let --mode continue run with a policy that it cannot enforce: another thread can change what was decided on")
	f.StringVar(&c.Trace, "trace", "", "write one strace-like line a call, to stderr or to `FILE`")
	f.Lookup("trace").NoOptDefVal = "-"
	f.StringVar(&c.Summary, "summary", "", "print a table of calls, errors and times at the end, like strace -c, to stderr or to `FILE`")
	f.Lookup("summary").NoOptDefVal = "-"
	f.StringVar(&c.Audit, "audit", "", "write one JSON object a call to `FILE` or fd:N")
	f.BoolVar(&c.Protect, "protect-supervisor", false,
		"COMMAND cannot trace, read, stop or kill the supervisor, not even as root: it gets a pid namespace, "+
			"mounts and a /proc of its own and no CAP_SYS_PTRACE; takes root; docs/SECURITY.md says against whom")
	f.BoolVar(&c.Scope, "scope-signals", false,
		"let the kernel keep COMMAND's signals among its own processes (Landlock, Linux 6.12): nothing is intercepted, so there is no policy, "+
			"no audit and no trace; who signals others gets EPERM")
	f.StringVar(&c.Metrics, "metrics", "", "serve /metrics for Prometheus and /healthz on `HOST:PORT` or unix:PATH while anything runs")
	f.StringVar(&c.Wait, "wait", "command", "end with COMMAND (command), or with the last process that it left behind (all)")
	c.logging.addFlags(cmd, "warn")
	addPauseSwitch(cmd)
	completeFlag(cmd, "backend", supervisor.Backends)
	completeFlag(cmd, "mode", supervisor.Modes)
	completeFlag(cmd, "semantics", supervisor.Semantics)
	completeFlag(cmd, "family", supervisor.Families)
	completeFlag(cmd, "intercept", supervisor.Intercepts)
	completeFlag(cmd, "on-trap", supervisor.OnTraps)
	completeFlag(cmd, "wait", waits)
	completeFile(cmd, "policy", policyEndings...)
}

var waits = []string{"command", "all"}

func words(list []string) string { return strings.Join(list, ", ") }

// check finds every mistake that can be found before anything is started.
func (c *runConfig) check() error {
	if !slices.Contains(waits, c.Wait) {
		return fmt.Errorf("--wait %s: no such value, it takes %s", c.Wait, words(waits))
	}
	if err := c.logging.check(); err != nil {
		return err
	}
	if err := c.Session.Check(); err != nil {
		return err
	}
	if c.Scope {
		return c.checkScope()
	}
	if c.Session.PolicyFile == "" {
		return nil
	}
	if err := c.Session.LoadPolicy(); err != nil {
		return err
	}
	absolute, err := filepath.Abs(c.Session.PolicyFile)
	if err != nil {
		return fmt.Errorf("--policy %s: %w", c.Session.PolicyFile, err)
	}
	c.Session.PolicyFile = absolute // wherever a reload looks for it
	return nil
}

// checkScope refuses what would have nothing to look at.
func (c *runConfig) checkScope() error {
	for _, other := range []struct{ flag, value, none string }{
		{"--policy", c.Session.PolicyFile, ""},
		{"--audit", c.Audit, ""},
		{"--trace", c.Trace, ""},
		{"--summary", c.Summary, ""},
		{"--metrics", c.Metrics, ""},
		{"--backend", c.Session.Backend, "auto"},
		{"--mode", c.Session.Mode, "auto"},
		{"--semantics", c.Session.Semantics, "native"},
		{"--intercept", c.Session.Intercept, "auto"},
		{"--on-trap", c.Session.OnTrap, "signal"},
	} {
		if other.value != other.none {
			return fmt.Errorf("--scope-signals: nothing is intercepted under it, so it excludes %s", other.flag)
		}
	}
	return supervisor.CanScope()
}

// lostFile finds a file that was meant for --trace or --summary, and stands where COMMAND
// does: both can do without one, so that it needs a "=".
func (c *runConfig) lostFile(command []string) error {
	flag := ""
	switch {
	case c.Trace == "-":
		flag = "--trace"
	case c.Summary == "-":
		flag = "--summary"
	}
	if flag == "" || len(command) < 2 {
		return nil
	}
	_, err := exec.LookPath(command[0])
	_, next := exec.LookPath(command[1])
	if command[1] == "--" || err != nil && next == nil {
		return fmt.Errorf("%s %s: a file is given with \"=\": write %s=%s", flag, command[0], flag, command[0])
	}
	return nil
}

func (c *runConfig) run(command []string) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.lostFile(command); err != nil {
		return err
	}
	c.Session.Observed = c.Trace != "" || c.Summary != "" || c.Audit != "" || c.Metrics != ""
	c.Session.Results = c.Trace != "" || c.Summary != ""
	c.Pretend, c.Pause = pretended(), paused()
	word, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("hand the flags to the supervisor: %w", err)
	}
	status := front.Main(front.Options{
		Command: command,
		Config:  []string{string(word)},
		WaitAll: c.Wait == "all",
	})
	return exitStatus(status)
}
