package main

import "github.com/spf13/cobra"

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
