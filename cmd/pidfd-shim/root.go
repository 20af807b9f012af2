package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

const longHelp = `pidfd-shim runs a program and stands between it and the system call
pidfd_send_signal (424). Each call is passed to the kernel, forwarded by a supervisor,
or emulated where the kernel does not have it. The program cannot tell the difference,
and a signal never reaches a process that its sender did not name.

Start with "doctor": it tries what this kernel can do and says what "run" would use.`

const examples = `  pidfd-shim doctor                              what can this kernel do?
  pidfd-shim run --trace -- go test os/exec      see each call, as strace would print it
  pidfd-shim run --mode emulate -- COMMAND       as on a kernel without the call
  pidfd-shim send SIGTERM 4711                   signal a process, and only that one`

// execute is the whole program but for its end: it returns the exit status.
func execute(args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	onlyShellsOfLinux(root)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if !cmd.HasParent() && !strings.HasPrefix(args[0], "-") {
			return runRoot(cmd, args) // the flags are not the mistake, the subcommand is
		}
		return explainFlag(cmd, err)
	})
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	if line := strings.ReplaceAll(err.Error(), "\n", "; "); line != "" {
		line = "pidfd-shim: " + line
		if journalled(errOut) {
			line = priorities[slog.LevelError] + line
		}
		fmt.Fprintln(errOut, line)
	}
	return statusOf(cmd, err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "pidfd-shim",
		Short:         "Stand between a program and pidfd_send_signal",
		Long:          longHelp,
		Example:       examples,
		SilenceErrors: true, // execute prints them, one line each
		SilenceUsage:  true,
		RunE:          runRoot,
		Args:          cobra.ArbitraryArgs, // runRoot names the nearest subcommand

		SuggestionsMinimumDistance: 2,
	}
	root.Flags().BoolP("version", "v", false, "version for pidfd-shim") // cobra's own would print by a template: see internal/report/markup.go
	addTestSwitches(root)
	for _, add := range subcommands {
		cmd := add()
		cmd.Args = explainArgs(cmd.Args)
		root.AddCommand(cmd)
	}
	return root
}

// onlyShellsOfLinux takes away the completion of a shell that Linux has not.
func onlyShellsOfLinux(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	for _, shell := range completion.Commands() {
		if shell.Name() == "powershell" {
			completion.RemoveCommand(shell)
		}
	}
}

// subcommands in the order of the manual.
var subcommands = []func() *cobra.Command{
	newRunCommand,
	newServeCommand,
	newPsCommand,
	newReportCommand,
	newSendCommand,
	newDoctorCommand,
	newPolicyCommand,
	newDecodeCommand,
	newBenchCommand,
	newVersionCommand,
	newManCommand,
}

// runRoot is the program without a subcommand, or with one that does not exist.
func runRoot(cmd *cobra.Command, args []string) error {
	if asked, _ := cmd.Flags().GetBool("version"); asked {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "pidfd-shim %s\n", version)
		return err
	}
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := `"pidfd-shim help" lists them`
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return usageError{fmt.Errorf("find subcommand %q: there is none; %s", args[0], hint)}
}

// usageError is a command line that says nothing we know.
type usageError struct{ error }

// exitStatus ends the program with this status and prints nothing: it has been said.
type exitStatus int

func (s exitStatus) Error() string { return "" }

// ExitStatus is how an error chooses the status that the program ends with.
func (s exitStatus) ExitStatus() int { return int(s) }

// Exit statuses of our own.
const (
	statusFailed = 1
	statusUsage  = 2
	statusRun    = 125 // every failure of run that is not COMMAND's
)

func statusOf(cmd *cobra.Command, err error) int {
	var chosen interface{ ExitStatus() int }
	var usage usageError
	switch {
	case errors.As(err, &chosen):
		return chosen.ExitStatus()
	case cmd.Name() == "run":
		return statusRun
	case errors.As(err, &usage):
		return statusUsage
	}
	return statusFailed
}

// explainArgs makes what a check of the arguments says an error of usage.
func explainArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		return nil
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("read arguments: %w; usage: %s", err, cmd.UseLine())}
		}
		return nil
	}
}
