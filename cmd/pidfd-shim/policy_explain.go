package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/accounts"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// explainConfig is what the flags of explain come to.
type explainConfig struct {
	caller, target, supervisor int32
	words                      map[string]*string // of the call
	asJSON                     bool
}

func newPolicyExplain() *cobra.Command {
	c := explainConfig{words: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "explain FILE --caller PID --target PID --signal SIGNAL [flags]",
		Short: "Say which rule decides between two live processes, and why",
		Long: `Take a call that nobody makes, from one live process to another, and say what each rule
asks for, what the fact is, which rule decides, and whether the kernel alone would have
let the signal through. Nothing is sent.

The caller may be a thread. What cannot be had is "unknown": a rule that denies matches
then, and one that allows does not. The relation "sandbox" needs --supervisor.`,
		Example: "  pidfd-shim policy explain rules.yaml --caller 4711 --target 1 --signal SIGTERM",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.explain(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.Int32Var(&c.caller, "caller", 0, "the calling thread's or process's `PID`")
	f.Int32Var(&c.target, "target", 0, "the `PID` that would be signalled")
	f.Int32Var(&c.supervisor, "supervisor", 0, "the `PID` whose descendants are the sandbox")
	for _, flag := range []struct{ name, usage string }{
		{"signal", "the signal, as kill -l names it; none for pidfd_open and pidfd_getfd"},
		{"scope", "process, thread or group (default process, or what the call has)"},
		{"code", "the siginfo's si_code: a name, a number, or NULL for none"},
		{"value", "the siginfo's value as an int"},
		{"syscall", "the call (default the policy's first)"},
		{"abi", anABI() + " (default " + arch.Native.String() + ")"},
	} {
		c.words[flag.name] = f.String(flag.name, "", flag.usage)
	}
	f.BoolVar(&c.asJSON, "json", false, "print one JSON object, for programs")
	completeFlag(cmd, "signal", signalNames())
	completeFlag(cmd, "scope", []string{"process", "thread", "group"})
	completeFlag(cmd, "abi", abi.Names())
	completeFlag(cmd, "syscall", syscallNames())
	return cmd
}

// explained is what explain shows. Its JSON form is stable: names are only added.
type explained struct {
	Syscall string        `json:"syscall"`
	Signal  string        `json:"signal"`
	Caller  int32         `json:"caller"`
	Target  int32         `json:"target"`
	Rules   []policy.Step `json:"rules"`
	Verdict string        `json:"verdict"` // allow, deny, log
	Errno   string        `json:"errno"`   // of a denial, also of one that is only logged; else ""
	Rule    string        `json:"rule"`    // that decided, or "default"
	Kernel  string        `json:"kernel"`  // what the kernel alone would say: allow, deny, unknown

	Complain bool `json:"complain,omitempty"` // the policy only logs what it denies
}

func (c *explainConfig) explain(cmd *cobra.Command, file string) error {
	if c.caller <= 0 || c.target <= 0 {
		return usageError{fmt.Errorf("read flags of explain: give --caller, --target and --signal")}
	}
	p, err := policy.Load(file)
	if err != nil {
		return err
	}
	words := map[string]string{}
	for name, word := range c.words {
		words[name] = *word
	}
	q, err := p.Call(words)
	if err != nil {
		return usageError{fmt.Errorf("read flags of explain: --%w", err)}
	}
	fs, err := proc.Open()
	if err != nil {
		return fmt.Errorf("open procfs: %w", err)
	}
	defer fs.Close()
	pair, err := emulate.NewHypotheticalCall(fs, kernel.ForRun(), c.caller, c.target, c.supervisor)
	if err != nil {
		return err
	}
	defer pair.Close()
	e := explained{Syscall: q.Syscall.String(), Signal: policy.Show("signals", q), Caller: c.caller, Target: c.target}
	v, steps := p.Explain(q, pair, showNamed)
	e.Rules, e.Rule, e.Verdict = steps, v.Rule, v.String()
	if v.Errno != 0 {
		e.Errno = unix.ErrnoName(v.Errno)
	}
	e.Complain = p.Complains()
	if e.Kernel = "unknown"; q.Signal != policy.NoSignal {
		e.Kernel = kernelVerdict(pair, q.Signal)
	}
	if c.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
	}
	return e.print(cmd.OutOrStdout())
}

// showNamed shows an id with its name, where it has one.
func showNamed(key string, q *policy.Query) string {
	shown := policy.Show(key, q)
	read := accounts.Users
	switch key {
	case "caller.uid", "caller.euid", "target.uid":
	case "caller.gid":
		read = accounts.Groups
	default:
		return shown
	}
	table, err := read()
	number, noID := strconv.ParseUint(shown, 10, 32)
	if err != nil || noID != nil || table.Name(uint32(number)) == "" {
		return shown
	}
	return shown + " (" + table.Name(uint32(number)) + ")"
}

// kernelVerdict is the permission rule of kill(2) alone: not Landlock, not a security
// module, nothing about namespaces of pids.
func kernelVerdict(pair *emulate.HypotheticalCall, sig int32) string {
	ok, err := pair.Permitted(sig)
	switch {
	case err != nil:
		return "unknown"
	case ok:
		return "allow"
	}
	return "deny"
}

func (e *explained) print(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s of %s, from %d to %d\n", e.Syscall, e.Signal, e.Caller, e.Target)
	for _, step := range e.Rules {
		fmt.Fprintf(&out, "\nrule %s (line %d, %s): %s\n", step.Rule, step.Line, step.Then, outcome(step))
		table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		for _, k := range step.Keys {
			had := k.Had
			if had == "" {
				had = "cannot be had"
			}
			fmt.Fprintf(table, "  %s\t%s\twanted: %s\tis: %s\n", k.Says, k.Key, shorten(k.Wanted), had)
		}
		_ = table.Flush()
	}
	fmt.Fprintf(&out, "\nverdict: %s %s(by %s)\n", e.Verdict, strings.TrimPrefix(e.Errno+" ", " "), e.Rule)
	if e.Complain {
		out.WriteString("mode: complain: what is denied is let pass, and logged\n")
	}
	if e.Signal != "no signal" {
		fmt.Fprintf(&out, "the kernel alone, by uids, CAP_KILL and SIGCONT's session: %s\n", e.Kernel)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func outcome(step policy.Step) string {
	switch {
	case step.Says == "":
		return "not reached"
	case step.Says == "yes":
		return "matches"
	case step.Says == "unknown" && step.Then != "allow":
		return "matches, because a fact cannot be had"
	case step.Says == "unknown":
		return "does not match, because a fact cannot be had"
	}
	return "does not match"
}

// shorten keeps a long list to one line.
func shorten(list string) string {
	const most = 60
	if len(list) <= most {
		return list
	}
	return list[:most] + "..."
}
