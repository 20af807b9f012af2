package bench

import (
	"fmt"
	"io"
	"strings"
)

// Explain writes what each row is compared with, without measuring.
func Explain(w io.Writer) error {
	var b strings.Builder
	b.WriteString("Each row is ours / its base, in turns, on one CPU. What a base does for one call or run:\n")
	for _, c := range append(controls(), plan()...) {
		bar := ""
		if c.bar != 0 {
			bar = ", bar " + (&Row{Bar: c.bar, AtLeast: c.atLeast}).bar()
		}
		fmt.Fprintf(&b, "\n%s (against %s%s)\n    %s\n", c.name, c.against, bar, c.base.does())
	}
	_, err := io.WriteString(w, b.String())
	return err
}
