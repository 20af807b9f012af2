package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/agent"
	"github.com/pidfd-shim/pidfd-shim/internal/web"
)

// usualControl is where the packaged service listens.
const usualControl = "/run/pidfd-shim/agent.sock.control"

func newPsCommand() *cobra.Command {
	var control string
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "ps [CONTAINER...] [--control PATH] [--json] [--watch]",
		Short: "List the containers that an agent serves",
		Long: `ps asks a running "pidfd-shim serve" which containers it serves: the policy of each,
how many listeners it has (one more for each exec that runs), its calls, how many of
them a policy refused, and the last of those with its rule. CONTAINER is the beginning of an
id, and only those that begin so are listed; with none, it ends with 1. "+ the profile's": its profile denies calls
by itself, which nobody counts or audits (policy compile --notify-denials).`,
		Example: "  pidfd-shim ps --watch\n  pidfd-shim ps 4f2a --json",
		RunE: func(cmd *cobra.Command, names []string) error {
			for {
				err := listContainers(cmd, control, names, asJSON)
				if err != nil || !watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(watchInterval):
				}
			}
		},
	}
	cmd.Flags().StringVar(&control, "control", usualControl, "the agent's control socket, `PATH`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array, for programs")
	cmd.Flags().BoolVar(&watch, "watch", false, "list anew every two seconds")
	return cmd
}

// watchInterval is how often --watch looks.
const watchInterval = 2 * time.Second

func listContainers(cmd *cobra.Command, control string, names []string, asJSON bool) error {
	var containers []agent.Status
	if err := askAgent(cmd.Context(), control, "/containers", &containers); err != nil {
		return err
	}
	if len(names) > 0 {
		containers = slices.DeleteFunc(containers, func(c agent.Status) bool {
			return !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(c.Container, name) })
		})
		if len(containers) == 0 {
			return fmt.Errorf("find %s: the agent serves no such container", strings.Join(names, ", "))
		}
	}
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(containers)
	}
	if wantsColour(out) && cmd.Flag("watch").Changed { // a screen: the list stands in one place
		fmt.Fprint(out, "\x1b[H\x1b[2J")
	}
	if err := printContainers(out, containers, time.Now()); err != nil {
		return err
	}
	tellLostLines(cmd, control)
	return nil
}

// tellLostLines says what the audit lacks. An older agent does not know.
func tellLostLines(cmd *cobra.Command, control string) {
	var state auditState
	if ask(cmd.Context(), control, "/audit", &state) == nil && state.Lost > 0 {
		why := ""
		if state.Error != "" {
			why = ": " + state.Error
		}
		cmd.PrintErrf("pidfd-shim: the audit lacks %d lines of %d%s\n", state.Lost, state.Lost+state.Written, why)
	}
}

// askAgent reads what the control socket tells.
func askAgent(ctx context.Context, control, what string, answer any) error {
	if err := ask(ctx, control, what, answer); err != nil {
		return fmt.Errorf("ask the agent at %s: %w", control, err)
	}
	return nil
}

func ask(ctx context.Context, control, what string, answer any) error {
	if _, err := os.Stat(control); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return fmt.Errorf("%w: is it running, and is that its --control?", err)
	}
	body, err := web.Get(ctx, control, what, flushTime)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

func printContainers(out io.Writer, containers []agent.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONTAINER\tPOLICY\tAGE\tLISTENERS\tCALLS\tDENIED\tLAST DENIAL")
	for _, c := range containers {
		policy := c.Policy
		if policy == "" {
			policy = "-"
		}
		if c.State != agent.InForce {
			policy += " (" + string(c.State) + ")"
		}
		denied := fmt.Sprint(c.Denied)
		if c.Logged > 0 {
			denied += fmt.Sprintf(" (%d would be)", c.Logged)
		}
		if c.Unseen {
			denied += " + the profile's"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", c.Container, policy, ageOf(now.Sub(c.Since)), c.Listeners, c.Calls, denied, lastDenial(c.Last, now))
	}
	return w.Flush()
}

func lastDenial(d *agent.Denial, now time.Time) string {
	if d == nil {
		return "-"
	}
	target := "?"
	if d.Target > 0 {
		target = fmt.Sprint(d.Target)
	}
	text := fmt.Sprintf("%s ago: %d sent %s to %s", ageOf(now.Sub(d.Time)), d.Tid, arch.SignalName(d.Signal), target)
	if d.Rule != "" {
		text += " (" + d.Rule + ")"
	}
	return text
}

func ageOf(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
