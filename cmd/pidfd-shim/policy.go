package main

import (
	"fmt"
	"io"

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
		sub.ValidArgsFunction = policyArgs[sub.Name()].complete
		cmd.AddCommand(sub)
	}
	return cmd
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
		for _, line := range errorLines(err) {
			fmt.Fprintln(errOut, line)
		}
		return false
	}
	failures := p.Test()
	for i := range failures {
		fmt.Fprintln(errOut, &failures[i])
	}
	fmt.Fprintf(out, "%s: %s, %d failed\n", file, count(p.Tests(), "test"), len(failures))
	return len(failures) == 0
}
