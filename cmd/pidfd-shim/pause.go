//go:build !shimtest

package main

import (
	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// hopperWords are what the hopper is started with.
func hopperWords() []string { return nil }

// pauses stops hops between their steps: never.
func pauses([]string) func(ptrace.Step) { return nil }

// addPauseSwitch adds nothing: see addTestSwitches.
func addPauseSwitch(*cobra.Command) {}
