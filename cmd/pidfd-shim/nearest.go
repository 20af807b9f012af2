package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// explainFlag turns what the flag parser says into one line with the way out.
func explainFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{fmt.Errorf("read flags of %s: %w", cmd.Name(), err)}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	hint := fmt.Sprintf("see %q", cmd.CommandPath()+" --help")
	if near := nearest(unknown.GetSpecifiedName(), names); near != "" {
		hint = "did you mean --" + near + "?"
	}
	dashes := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	return usageError{fmt.Errorf("read flag %s%s: %s has none such; %s",
		dashes, unknown.GetSpecifiedName(), cmd.Name(), hint)}
}

// nearest returns the name that takes the fewest edits to become word, or "" if
// that would be more than a slip of the finger.
func nearest(word string, names []string) string {
	best, name := len(word)/3+2, ""
	for _, n := range names {
		if d := edits(word, n); d < best {
			best, name = d, n
		}
	}
	return name
}

// edits is the number of letters to insert, drop or change between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
