//go:build !shimtest

package main

import (
	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// hopperWords are what the hopper is started with.
func hopperWords() []string { return nil }

// pauses stops hops between their steps: never.
func pauses([]string) func(inject.Step) { return nil }

// addPauseSwitch adds nothing: see addTestSwitches.
func addPauseSwitch(*cobra.Command) {}

// paused is what the switch was given, for the processes of a run.
func paused() string { return "" }

// pauseStart stops a run while COMMAND is stopped for its tracer: never.
func pauseStart(string) {}

// pause stops the calls of a supervisor between their steps: never.
func pause(*supervisor.Base, string) {}
