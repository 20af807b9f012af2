package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// newPolicyCommand holds what one does with a policy file without running anything
// under it.
func newPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy check|explain|test|compile|learn|replay|init",
		Short: "Check a policy file, try it, and show what the kernel will decide of it",
		Long: `Check a policy file, run the tests in it, explain what it says of two live processes,
and show what of it the kernel decides by itself. docs/POLICY.md describes the file.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usageError{fmt.Errorf("find policy subcommand %q: there is none; give check, explain, test, compile, learn, replay or init", args[0])}
		},
	}
	for _, sub := range []*cobra.Command{newPolicyCheck(), newPolicyExplain(), newPolicyTest(), newPolicyCompile(), newPolicyLearn(), newPolicyReplay(), newPolicyInit()} {
		sub.Args = explainArgs(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

func newPolicyCheck() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [--strict] FILE|DIR|- ...",
		Short: "Say what is wrong with policy files, one line each: file:line:column: what",
		Long: `Say what is wrong with policy files, one line each: file:line:column: what, the text in
question, the nearest known name. Warnings are about what is probably not meant. Ends
with 1 if a file is wrong, or under --strict if there is a warning. Of a directory the files
that serve --policy-dir reads are checked; - is standard input.`,
		Example: "  pidfd-shim policy check --strict rules.yaml\n  pidfd-shim policy check /etc/pidfd-shim/policies",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			bad := false
			files, err := filesIn(cmd.OutOrStdout(), files)
			if err != nil {
				return err
			}
			for _, file := range files {
				errors, warnings := checkPolicy(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), file)
				bad = bad || errors > 0 || strict && warnings > 0
			}
			if bad {
				return exitStatus(statusFailed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	return cmd
}

// filesIn puts the policies of a directory in its place, as serve --policy-dir finds them.
func filesIn(out io.Writer, args []string) (files []string, err error) {
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.IsDir() {
			files = append(files, arg) // what is wrong with it is found when it is read
			continue
		}
		found, err := filepath.Glob(filepath.Join(arg, "[^.]*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		if len(found) == 0 {
			fmt.Fprintf(out, "%s: no policies in it\n", arg)
		}
		files = append(files, found...)
	}
	return files, nil
}

// loadPolicy reads a file, or standard input for "-".
func loadPolicy(in io.Reader, file string) (*policy.Policy, error) {
	if file != "-" {
		return policy.Load(file)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return policy.Parse("-", text)
}

func checkPolicy(in io.Reader, out, errOut io.Writer, file string) (wrong, doubtful int) {
	p, err := loadPolicy(in, file)
	if err != nil {
		return len(printErrors(errOut, err)), 0
	}
	warnings := p.Warnings()
	for i := range warnings {
		w := &warnings[i]
		fmt.Fprintf(errOut, "%s:%d:%d: warning: %s\n", w.File, w.Line, w.Column, w.What)
	}
	fmt.Fprintf(out, "%s: good: %s, %s, %s\n", file,
		count(len(p.Rules()), "rule"), count(p.Tests(), "test"), count(len(warnings), "warning"))
	if meant := p.Accounts(); len(meant) > 0 {
		fmt.Fprintf(out, "%s: here %s\n", file, strings.Join(meant, ", "))
	}
	if p.OnlySandbox() {
		fmt.Fprintf(out, "%s: \"run --scope-signals\" would do on Linux 6.12 and newer: %s\n", file, scopeInstead)
	}
	if p.Complains() {
		fmt.Fprintf(out, "%s: mode: complain: what it denies is let pass, and logged\n", file)
	}
	return 0, len(warnings)
}

// scopeInstead is what the kernel's own way has and lacks.
const scopeInstead = "the kernel keeps signals inside by itself, nothing is intercepted, and nothing is audited"

// printErrors writes all that is wrong with a file and returns it.
func printErrors(w io.Writer, err error) []error {
	lines := []error{err}
	var list policy.Errors
	if errors.As(err, &list) {
		lines = list.Unwrap()
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return lines
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func newPolicyTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Run the tests that policy files hold",
		Long: `Run the tests that policy files hold under "tests": a call, what is known of its caller
and its target, and the verdict that is expected. Ends with 1 if one fails.`,
		Example: "  pidfd-shim policy test rules.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			bad := false
			for _, file := range files {
				bad = !testPolicy(cmd.OutOrStdout(), cmd.ErrOrStderr(), file) || bad
			}
			if bad {
				return exitStatus(statusFailed)
			}
			return nil
		},
	}
}

func testPolicy(out, errOut io.Writer, file string) bool {
	p, err := policy.Load(file)
	if err != nil {
		printErrors(errOut, err)
		return false
	}
	failures := p.Test()
	for i := range failures {
		fmt.Fprintln(errOut, &failures[i])
	}
	fmt.Fprintf(out, "%s: %s, %d failed\n", file, count(p.Tests(), "test"), len(failures))
	return len(failures) == 0
}
