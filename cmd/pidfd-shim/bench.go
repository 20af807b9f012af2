package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/bench"
)

func newBenchCommand() *cobra.Command {
	var options bench.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "bench [--json] [--quick]",
		Short: "Measure this machine against floors",
		Long: `Measure what a call costs under the shim, as ratios to the native call and to the
least that a C supervisor can do, each beside its bar. Needs a C compiler and a
kernel with pidfd_send_signal. Takes about two minutes; a quiet machine helps.

Exit status: 0 all bars passed, 1 a bar was missed or something failed, 2 bad usage,
3 inconclusive: the comparison of a thing with itself came out too far from 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Shim == "" {
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find our own binary: %w", err)
				}
				options.Shim = self
			}
			return runBench(cmd, options, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON, for programs to read")
	flags.BoolVar(&options.Quick, "quick", false, "take a tenth of the samples: for a first look, not for decisions")
	flags.StringVar(&options.Shim, "shim", "", "measure another pidfd-shim binary, or "+bench.StandIn+": the C floor against itself")
	_ = flags.MarkHidden("shim")
	return cmd
}

func runBench(cmd *cobra.Command, options bench.Options, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, options)
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	if asJSON {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetIndent("", "  ")
		err = out.Encode(report)
	} else {
		err = report.Table(cmd.OutOrStdout())
	}
	if err != nil {
		return fmt.Errorf("print the benchmark: %w", err)
	}
	if report.Verdict != bench.VerdictPass {
		// The report has said why.
		return exitStatus(report.Verdict.ExitStatus())
	}
	return nil
}
