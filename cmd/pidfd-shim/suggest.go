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
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return usageError{badValue(invalid.GetFlag(), invalid.GetValue())}
	}
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

// kinds are the flags' types in words that a user types by.
var kinds = map[string]string{
	"int": "a number", "int32": "a number", "int64": "a number", "uint32": "a number from 0", "uint64": "a number from 0",
	"duration": "a time such as 500ms or 2s", "bool": "true or false",
}

func badValue(f *pflag.Flag, value string) error {
	kind := kinds[f.Value.Type()]
	if kind == "" {
		kind = f.Value.Type()
	}
	return fmt.Errorf("--%s %s: no such value, it takes %s", f.Name, value, kind)
}
