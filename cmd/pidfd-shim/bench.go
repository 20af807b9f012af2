package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/bench"
)

func newBenchCommand() *cobra.Command {
	var options bench.Options
	var form benchForm
	var explain bool
	cmd := &cobra.Command{
		Use:   "bench [--json] [--svg FILE] [--quick] [--explain]",
		Short: "Measure this machine against floors",
		Long: `Measure what a call costs under the shim, as ratios to the native call and to the
least that a C supervisor can do, each beside its bar. Needs a C compiler and a
kernel with pidfd_send_signal. Takes about two minutes; a quiet machine helps.
strace and proot are measured, too, where they are installed. docs/PERFORMANCE.md has
the bars and where the time goes; --explain says what each row is compared with.

Exit status: 0 all bars passed, 1 a bar was missed or something failed, 2 bad usage,
3 inconclusive: the comparison of a thing with itself came out too far from 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if explain {
				return bench.Explain(cmd.OutOrStdout())
			}
			if options.Shim == "" {
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find our own binary: %w", err)
				}
				options.Shim = self
			}
			return runBench(cmd, options, form)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&explain, "explain", false, "say what each row is compared with, and measure nothing")
	flags.StringVar(&form.svg, "svg", "", "draw the ratios and their bars into `FILE`, too")
	flags.BoolVar(&form.json, "json", false, "print the report as JSON, for programs to read")
	flags.BoolVar(&options.Quick, "quick", false, "take a tenth of the samples: for a first look, not for decisions")
	flags.StringVar(&options.Shim, "shim", "", "measure another pidfd-shim binary, or "+bench.StandIn+": the C floor against itself")
	_ = flags.MarkHidden("shim")
	return cmd
}

// benchForm is how the report is wanted.
type benchForm struct {
	json bool
	svg  string
}

func (f benchForm) write(cmd *cobra.Command, report *bench.Report) error {
	if f.svg != "" {
		if err := f.draw(report); err != nil {
			return err
		}
	}
	if !f.json {
		return report.Table(cmd.OutOrStdout())
	}
	out := json.NewEncoder(cmd.OutOrStdout())
	out.SetIndent("", "  ")
	return out.Encode(report)
}

func (f benchForm) draw(report *bench.Report) error {
	file, err := os.Create(f.svg)
	if err != nil {
		return err
	}
	return errors.Join(report.SVG(file), file.Close())
}

func runBench(cmd *cobra.Command, options bench.Options, form benchForm) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, options)
	if err != nil {
		return fmt.Errorf("benchmark: %w", err)
	}
	if err := form.write(cmd, report); err != nil {
		return fmt.Errorf("print the benchmark: %w", err)
	}
	if report.Verdict != bench.VerdictPass {
		// The report has said why.
		return exitStatus(report.Verdict.ExitStatus())
	}
	return nil
}
