package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pidfd-shim/pidfd-shim/internal/suggest"
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
	if near := suggest.Name(unknown.GetSpecifiedName(), names); near != "" {
		hint = "did you mean --" + near + "?"
	}
	dashes := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	return usageError{fmt.Errorf("read flag %s%s: %s has none such; %s",
		dashes, unknown.GetSpecifiedName(), cmd.Name(), hint)}
}
