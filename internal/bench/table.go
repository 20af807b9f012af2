package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table writes the report for a person.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Linux %s, %d CPUs, %d samples a side, judged by %s", r.Kernel, r.CPUs, r.Samples, r.Statistic)
	if r.Statistic == byMin {
		b.WriteString(" (others were running)")
	}
	b.WriteString("\n")
	if r.StandIn {
		b.WriteString("MEASURED THE C FLOOR IN THE SHIM'S PLACE: no row says anything about the shim\n")
	}
	b.WriteString("\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\tcost\tx native\tagainst\tits cost\tmedian\tmin/min\tunpinned\tbar\t")
	for _, row := range append(r.Controls[:len(r.Controls):len(r.Controls)], r.Rows...) {
		row.line(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteString("\n")
	r.foot(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// line writes one row. What has no figure is left blank.
func (row *Row) line(w io.Writer) {
	if row.Status == StatusError {
		fmt.Fprintf(w, "%s\t\t\t%s\t\t\t\t\t%s\t%s\n", row.Case, row.Against, row.bar(), row.Status)
		return
	}
	baseCost := ""
	if row.Against != "" {
		baseCost = quantity(row.BaseCost, row.CostUnit)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		row.Case, quantity(row.Cost, row.CostUnit), optional(row.OverNative, "x"),
		row.Against, baseCost,
		quantity(row.Median, row.Unit), quantity(row.Min, row.Unit), optional(row.Unpinned, row.Unit),
		row.bar(), row.Status)
}

func (row *Row) bar() string {
	switch {
	case row.Bar == 0:
		return ""
	case row.AtLeast:
		return fmt.Sprintf(">= %g", row.Bar)
	}
	return fmt.Sprintf("<= %g", row.Bar)
}

func quantity(f float64, unit string) string {
	switch unit {
	case "ns":
		return fmt.Sprintf("%.0f ns", f)
	case "x":
		return fmt.Sprintf("%.3f", f)
	}
	return fmt.Sprintf("%.2f %s", f, unit)
}

func optional(f float64, unit string) string {
	if f == 0 {
		return ""
	}
	return quantity(f, unit)
}

// foot writes the notes, what is missing, and the verdict.
func (r *Report) foot(b *strings.Builder) {
	for _, row := range append(r.Controls[:len(r.Controls):len(r.Controls)], r.Rows...) {
		if row.Note != "" {
			fmt.Fprintf(b, "%s: %s\n", row.Case, row.Note)
		}
	}
	for _, what := range r.Unmeasured {
		fmt.Fprintf(b, "not measured: %s\n", what)
	}
	fmt.Fprintf(b, "\n%s\n", r.Summary())
}

// Summary is the verdict in a line.
func (r *Report) Summary() string {
	count := make(map[Status]int)
	for _, row := range r.Rows {
		count[row.Status]++
	}
	counts := fmt.Sprintf("%d bars passed, %d missed, %d could not be measured",
		count[StatusPass], count[StatusMiss], count[StatusError])
	if r.Verdict != VerdictInconclusive {
		return fmt.Sprintf("%s: %s", r.Verdict, counts)
	}
	var stray []string
	for _, c := range r.Controls {
		if c.strays(r.Statistic) {
			stray = append(stray, fmt.Sprintf("%s is %.3f", c.Case, c.figure(r.Statistic)))
		}
	}
	return fmt.Sprintf("%s: %s, outside %g to %g: neither pass nor fail, try on a quieter machine (%s)",
		r.Verdict, strings.Join(stray, ", "), leastControl, mostControl, counts)
}
