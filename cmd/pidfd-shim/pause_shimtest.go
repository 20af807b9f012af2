//go:build shimtest

package main

import (
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// pauseAt is the value of --pause, which a process sets once, as it reads its flags.
var pauseAt string

// hopperWords are what the hopper is started with.
func hopperWords() []string {
	if pauseAt == "" {
		return nil
	}
	return []string{pauseAt}
}

// paused is what the switch was given, for the processes of a run.
func paused() string { return pauseAt }

// pauses has a hop that comes to the step wait.
func pauses(words []string) func(inject.Step) {
	if len(words) == 0 {
		return nil
	}
	step, path, _ := strings.Cut(words[0], ":")
	return func(now inject.Step) {
		if inject.Steps[now] == step {
			waitFor(path)
		}
	}
}

// waited is set once nobody listens any more.
var waited atomic.Bool

// waitFor waits until whoever listens on the socket has accepted and closed; nobody
// listens: it goes on, and so does whoever comes after it.
func waitFor(path string) {
	if waited.Load() {
		return
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		waited.Store(true)
		return
	}
	defer conn.Close()
	_, _ = conn.Read(make([]byte, 1))
}

// pauseStart has a run wait while COMMAND is stopped for its tracer: the step "starting".
func pauseStart(at string) {
	if step, path, _ := strings.Cut(at, ":"); step == "starting" {
		waitFor(path)
	}
}

// pause has calls of a supervisor wait that come to the step: one of a hop's, or one of the
// loop's, which are "received", "checked", "answering" and "answered".
func pause(b *supervisor.Base, at string) {
	if at == "" {
		return
	}
	step, path, _ := strings.Cut(at, ":")
	b.Between = pauses([]string{at})
	b.Wrap = func(under shim.Backend) shim.Backend { return &pausing{under, step, path} }
}

// pausing is a backend whose calls wait between two steps.
type pausing struct {
	shim.Backend
	step, path string
}

func (p *pausing) at(step string) {
	if step == p.step {
		waitFor(p.path)
	}
}

func (p *pausing) Next(c *shim.Call) error {
	err := p.Backend.Next(c)
	if err == nil {
		p.at("received")
	}
	return err
}

func (p *pausing) Blocked(c *shim.Call) error {
	err := p.Backend.Blocked(c)
	if err == nil {
		p.at("checked")
	}
	return err
}

func (p *pausing) Answer(c *shim.Call, v shim.Verdict) error {
	p.at("answering")
	err := p.Backend.Answer(c, v)
	p.at("answered")
	return err
}

// Postponed implements shim.Postponer.
func (p *pausing) Postponed(c *shim.Call) {
	if b, ok := p.Backend.(shim.Postponer); ok {
		b.Postponed(c)
	}
}

// Descriptor implements shim.Shared.
func (p *pausing) Descriptor() int {
	if b, ok := p.Backend.(shim.Shared); ok {
		return b.Descriptor()
	}
	return -1
}

// Left implements shim.Heir.
func (p *pausing) Left(c *shim.Call) (found bool, again time.Duration) {
	if b, ok := p.Backend.(shim.Heir); ok {
		return b.Left(c)
	}
	return false, 0
}

func addPauseSwitch(cmd *cobra.Command) {
	cmd.Flags().StringVar(&pauseAt, "pause", "",
		"test builds: `STEP:PATH`, have calls wait at a step for who listens on the socket")
	_ = cmd.Flags().MarkHidden("pause")
}
