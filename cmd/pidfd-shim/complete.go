package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// completeFlag lets shells complete a flag that takes one of a few words.
// Precondition: cmd has the flag, and it is completed once.
func completeFlag(cmd *cobra.Command, flag string, words []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
}

// completeFile lets shells complete a flag that takes a file with one of these endings.
// Precondition: cmd has the flag.
func completeFile(cmd *cobra.Command, flag string, endings ...string) {
	if err := cmd.MarkFlagFilename(flag, endings...); err != nil {
		panic(err)
	}
}

// completeDir is the same for a directory.
func completeDir(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagDirname(flag); err != nil {
		panic(err)
	}
}

// completeArgs lets shells complete what stands behind a command: the first argument one of
// words, or a file with one of the endings of first, the rest a file with one of those of rest.
type completeArgs struct {
	words       []string
	first, rest []string
}

func (c completeArgs) complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0 && c.words != nil:
		return c.words, cobra.ShellCompDirectiveNoFileComp
	case len(args) == 0 && c.first != nil:
		return c.first, cobra.ShellCompDirectiveFilterFileExt
	case c.rest != nil:
		return c.rest, cobra.ShellCompDirectiveFilterFileExt
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// The endings of what we read.
var (
	policyEndings = []string{"yaml", "yml"}
	auditEndings  = []string{"jsonl"}
)

// policyArgs is what stands behind each subcommand of policy.
var policyArgs = map[string]completeArgs{
	"check":   {first: policyEndings, rest: policyEndings},
	"test":    {first: policyEndings, rest: policyEndings},
	"explain": {first: policyEndings},
	"compile": {first: policyEndings},
	"learn":   {first: auditEndings, rest: auditEndings},
	"replay":  {first: policyEndings, rest: auditEndings},
	"init":    {words: templates()},
}

func syscallNames() (names []string) {
	for _, s := range policy.Syscalls() {
		names = append(names, s.String())
	}
	return names
}

// signalNames are those that kill -l prints.
func signalNames() (names []string) {
	for sig := int32(1); sig <= arch.SIGRTMAX; sig++ {
		if name := arch.SignalName(sig); strings.HasPrefix(name, "SIG") {
			names = append(names, name)
		}
	}
	return names
}
