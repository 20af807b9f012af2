//go:build !shimtest

package main

import (
	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// features is what this kernel has.
func features() (kernel.Features, error) { return kernel.ForRun(), nil }

// pretended is what --pretend was given.
func pretended() string { return "" }

// featuresUnder is features in the supervisor, which is handed what the front was given.
func featuresUnder(string) (kernel.Features, error) { return features() }

// addTestSwitches adds nothing: they exist only in builds with the tag shimtest.
func addTestSwitches(*cobra.Command) {}
