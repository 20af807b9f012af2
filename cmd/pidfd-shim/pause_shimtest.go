//go:build shimtest

package main

import (
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// pauseAt is the value of --pause-hop, which a process sets once, as it reads its flags.
var pauseAt string

// hopperWords are what the hopper is started with.
func hopperWords() []string {
	if pauseAt == "" {
		return nil
	}
	return []string{pauseAt}
}

// pauses has a hop that comes to the step wait until whoever listens on the socket has
// accepted and closed; nobody listens: it goes on.
func pauses(words []string) func(ptrace.Step) {
	if len(words) == 0 {
		return nil
	}
	step, path, _ := strings.Cut(words[0], ":")
	return func(now ptrace.Step) {
		if ptrace.Steps[now] != step {
			return
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1))
	}
}

func addPauseSwitch(serve *cobra.Command) {
	serve.Flags().StringVar(&pauseAt, "pause-hop", "",
		"test builds: `STEP:PATH`, have hops wait at a step for who listens on the socket")
	_ = serve.Flags().MarkHidden("pause-hop")
}
