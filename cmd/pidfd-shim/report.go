package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	auditreport "github.com/pidfd-shim/pidfd-shim/internal/report" // doctor has a report, too
)

func newReportCommand() *cobra.Command {
	var output string
	var only auditreport.Filter
	cmd := &cobra.Command{
		Use:   "report AUDIT.jsonl [-o FILE] [--container ID] [--verdict WORD] [--rule NAME]",
		Short: "Draw an audit file as one HTML page",
		Long: `report reads what "run --audit" or "serve" wrote, and draws it as one HTML page that
needs nothing but itself: what was denied, who signalled whom, when, and how the calls
were answered. Lines that cannot be read are named on stderr and on the page, and do not
count. A file of any size will do: sums are kept, not lines. Equal denials are one row; where
programs repeat their names stand without their pids.`,
		Example: "  pidfd-shim run --audit=a.jsonl -- COMMAND\n" +
			"  pidfd-shim report a.jsonl -o report.html\n" +
			"  zcat old.jsonl.gz | pidfd-shim report - -o report.html",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := makeReport(cmd, only, args[0], output); err != nil {
				return fmt.Errorf("report: %w", err)
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = completeArgs{first: auditEndings}.complete
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write the page to `FILE`; - is stdout")
	cmd.Flags().StringVar(&only.Container, "container", "", "only calls of containers whose ids begin with `ID`")
	cmd.Flags().StringVar(&only.Verdict, "verdict", "", "only calls with this verdict: allow, deny, log or error")
	cmd.Flags().StringVar(&only.Rule, "rule", "", "only calls that the rule `NAME` decided")
	completeFlag(cmd, "verdict", []string{"allow", "deny", "log", "error"})
	return cmd
}

// makeReport writes nothing before the page is whole.
func makeReport(cmd *cobra.Command, only auditreport.Filter, input, output string) error {
	if err := differ(input, output); err != nil {
		return err
	}
	r, err := readAudit(cmd.InOrStdin(), only, input)
	if err != nil {
		return err
	}
	warnBad(cmd.ErrOrStderr(), r)
	var page bytes.Buffer
	if err := r.Write(&page); err != nil {
		return err
	}
	if output == "-" {
		_, err = cmd.OutOrStdout().Write(page.Bytes())
		return err
	}
	return os.WriteFile(output, page.Bytes(), 0o666) //nolint:gosec // the umask says who may read it
}

func readAudit(stdin io.Reader, only auditreport.Filter, input string) (*auditreport.Report, error) {
	if input == "-" {
		return only.Read("stdin", stdin)
	}
	file, err := os.Open(input)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return only.Read(input, file)
}

// differ keeps a page from being written over its audit.
func differ(input, output string) error {
	in, err := os.Stat(input)
	if err != nil {
		return nil //nolint:nilerror // to open it says why, and - is no file
	}
	if out, err := os.Stat(output); err == nil && out.Mode().IsRegular() && os.SameFile(in, out) {
		return usageError{errors.New("-o is the audit itself: give another name")}
	}
	return nil
}

// warnBad names the lines that do not count.
func warnBad(errOut io.Writer, r *auditreport.Report) {
	for _, bad := range r.BadList {
		fmt.Fprintf(errOut, "pidfd-shim: report: %s:%d: %v; left out\n", r.Name, bad.Number, bad.Err)
	}
	if more := r.Bad - len(r.BadList); more > 0 {
		fmt.Fprintf(errOut, "pidfd-shim: report: %s: %d more lines cannot be read; left out\n", r.Name, more)
	}
}
