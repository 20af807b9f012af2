package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/policy/oci"
)

func newPolicyCompile() *cobra.Command {
	var format, base string
	var o policy.ProfileOptions
	cmd := &cobra.Command{
		Use:   "compile FILE [--format bpf|pfc|oci]",
		Short: "Show what of a policy the kernel decides, or a container runtime's profile",
		Long: `bpf: the lines of our own filter, in their order, each with whether the kernel or the
supervisor decides, and why.
oci: a seccomp profile for runc, crun, podman and Kubernetes, which hands the calls to the
agent (serve) and denies by itself what registers alone deny. Runtimes compile it by
libseccomp, which keeps no order of rules: what it so cannot hold is said on stderr and
left to the agent. What the profile itself denies the agent does not see: no audit line, no
count, unless --notify-denials leaves it to the agent.
pfc: libseccomp's own reading of that profile; not in a build without cgo.`,
		Example: "  pidfd-shim policy compile rules.yaml\n" +
			"  pidfd-shim policy compile rules.yaml --format oci --socket /run/pidfd-shim/agent.sock > seccomp.json",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := policy.Load(args[0])
			if err != nil {
				return err
			}
			if o.Metadata == "" {
				o.Metadata = "policy=" + strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
			}
			out := cmd.OutOrStdout()
			switch format {
			case "bpf":
				return printFilter(out, args[0], p)
			case "oci", "pfc":
				return printProfile(out, cmd.ErrOrStderr(), p, format, base, o)
			}
			return usageError{fmt.Errorf("read --format %q: no such format: give bpf, pfc or oci", format)}
		},
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "bpf", "what to print: bpf, pfc or oci")
	f.StringVar(&o.Socket, "socket", "/run/pidfd-shim/agent.sock", "the agent's `PATH`, for oci: listenerPath")
	f.StringVar(&o.Metadata, "metadata", "", "what tells the agent which policy it is, for oci: listenerMetadata (default policy=NAME, of the file); what the agent has to know of the profile is added")
	f.StringVar(&base, "base", "", "put it into a runtime's default profile, for oci: `FILE` as docker, podman and runc have it")
	f.BoolVar(&o.WaitKillable, "wait-killable", false, "have calls wait without being interrupted, for oci: for crun from 1.8 and runc from 1.5, older runc refuses the container")
	f.BoolVar(&o.NotifyDenials, "notify-denials", false, "leave denials to the agent, which audits and counts them, for oci: each costs a notification")
	completeFlag(cmd, "format", []string{"bpf", "pfc", "oci"})
	return cmd
}

// printProfile writes a profile only after libseccomp has compiled it, where we have
// libseccomp.
func printProfile(out, errOut io.Writer, p *policy.Policy, format, base string, o policy.ProfileOptions) error {
	profile, notes := p.Profile(o)
	for _, note := range notes {
		fmt.Fprintf(errOut, "left to the agent: %s\n", note)
	}
	_, pfc, err := oci.CompileProfile(profile)
	switch {
	case errors.Is(err, errors.ErrUnsupported) && format == "oci":
		fmt.Fprintln(errOut, "not checked by libseccomp: this build has none")
	case errors.Is(err, errors.ErrUnsupported):
		return errors.New("compile to pfc: this build has no libseccomp; take the one with cgo, or --format oci")
	case err != nil:
		return fmt.Errorf("compile profile: %w", err)
	}
	if format == "pfc" {
		_, err := io.WriteString(out, pfc)
		return err
	}
	if o.WaitKillable {
		fmt.Fprintln(errOut, "flags: crun from 1.8 and runc from 1.5 take WAIT_KILLABLE_RECV; older runc refuses the container")
	}
	var whole any = profile
	if base != "" {
		if whole, err = merge(errOut, base, profile); err != nil {
			return err
		}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(whole)
}

// merge puts a profile into a runtime's own.
func merge(errOut io.Writer, base string, profile *specs.LinuxSeccomp) (any, error) {
	text, err := os.ReadFile(base)
	if err != nil {
		return nil, fmt.Errorf("read --base: %w", err)
	}
	merged, notes, err := policy.Merge(text, profile)
	if err != nil {
		return nil, fmt.Errorf("read --base %s: %w: give a profile as docker, podman or runc have it", base, err)
	}
	for _, note := range notes {
		fmt.Fprintf(errOut, "base: %s\n", note)
	}
	return json.RawMessage(merged), nil
}

// printFilter lists the policy as our filter has it.
func printFilter(w io.Writer, file string, p *policy.Policy) error {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s: each call is tried line by line, and the first line that holds decides.\n", file)
	out.WriteString("# Arguments are compared as the kernel reads them, by their low 32 bits; pointers whole.\n" +
		"# With --trace or --audit, and where the kernel lacks a call, \"allow\" goes to the supervisor too.\n")
	var call arch.Syscall
	for _, r := range append(p.Registers(), policy.NoListener(), policy.NoFilterTracer()) {
		if r.Syscall != call {
			call = r.Syscall
			fmt.Fprintf(&out, "\n%v:\n", call)
		}
		fmt.Fprintf(&out, "  %-30s # %s: %s\n", action(r), r.Rule, reason(r))
		for _, c := range r.When {
			fmt.Fprintf(&out, "      if %s\n", condition(call, c))
		}
		if r.ABI != 0 {
			fmt.Fprintf(&out, "      if abi = %v\n", r.ABI)
		}
	}
	if mutable := p.Mutable(); len(mutable) > 0 {
		out.WriteString("\n# --mode continue cannot enforce this policy:\n")
		for _, sentence := range mutable {
			fmt.Fprintf(&out, "#   %s\n", sentence)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func action(r policy.RegisterRule) string {
	switch r.Then {
	case policy.Deny:
		return "deny with " + unix.ErrnoName(r.Errno)
	case policy.Allow:
		return "allow"
	case policy.Log:
		return "allow, and log"
	}
	return "ask the supervisor"
}

func reason(r policy.RegisterRule) string {
	switch r.Then {
	case policy.Ask:
		return r.Why
	case policy.Log:
		return "the supervisor writes it down, if anybody asks for lines or counts"
	}
	return "the kernel decides, by registers alone"
}

// condition writes a test of an argument, "sig in {9, 35..64}".
func condition(call arch.Syscall, c policy.Cond) string {
	name := argument(call, c.Arg)
	if c.Null {
		if c.Not {
			return name + " != NULL"
		}
		return name + " = NULL"
	}
	if c.Mask != 0 {
		name = fmt.Sprintf("%s & %#x", name, c.Mask)
	}
	var list []string
	for _, r := range c.In {
		low, high := int32(r.Low), int32(r.High)
		if low == high {
			list = append(list, fmt.Sprint(low))
		} else {
			list = append(list, fmt.Sprintf("%d..%d", low, high))
		}
	}
	not := ""
	if c.Not {
		not = "not "
	}
	return fmt.Sprintf("%s %sin {%s}", name, not, strings.Join(list, ", "))
}

// argument is the name that the manual pages give an argument.
func argument(call arch.Syscall, i int) string {
	names := map[arch.Syscall][]string{
		arch.PidfdSendSignal:  {"pidfd", "sig", "info", "flags"},
		arch.Kill:             {"pid", "sig"},
		arch.Tkill:            {"tid", "sig"},
		arch.Tgkill:           {"tgid", "tid", "sig"},
		arch.RtSigqueueinfo:   {"tgid", "sig", "info"},
		arch.RtTgsigqueueinfo: {"tgid", "tid", "sig", "info"},
		arch.PidfdOpen:        {"pid", "flags"},
		arch.PidfdGetfd:       {"pidfd", "targetfd", "flags"},
		arch.Seccomp:          {"operation", "flags", "program"},
		arch.Ptrace:           {"request", "pid", "addr", "data"},
	}[call]
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("arg%d", i)
}
