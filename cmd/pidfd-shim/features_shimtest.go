//go:build shimtest

package main

import (
	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// pretend is the value of --pretend, which a process sets once, as it reads its flags.
var pretend string

// features is what this kernel has, less what --pretend takes away.
func features() (kernel.Features, error) {
	f := kernel.ForRun()
	if pretend == "" {
		return f, nil
	}
	f, err := f.Pretend(pretend)
	if err != nil {
		return f, usageError{err}
	}
	return f, nil
}

// pretended is what --pretend was given.
func pretended() string { return pretend }

// featuresUnder is features in the supervisor, which is handed what the front was given.
func featuresUnder(given string) (kernel.Features, error) {
	pretend = given
	return features()
}

func addTestSwitches(root *cobra.Command) {
	root.PersistentFlags().StringVar(&pretend, "pretend", "",
		"test builds: be an older kernel (5.0) or lack a feature (nokillable), separated by commas")
	_ = root.PersistentFlags().MarkHidden("pretend")
}
