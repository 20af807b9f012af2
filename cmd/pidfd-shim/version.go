package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	pidfdshim "github.com/pidfd-shim/pidfd-shim"
)

const version = pidfdshim.Version

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and how this binary was built",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "pidfd-shim %s (%s, %s build%s)\n",
				version, runtime.Version(), buildKind(), revision())
			return err
		},
	}
}

// buildKind is "pure" for the build without cgo, which does not widen limits, and does not
// hand on every ignored signal.
func buildKind() string {
	if setting("CGO_ENABLED") == "0" {
		return "pure"
	}
	return "cgo"
}

// commit is what the Makefile's linker was told; go's own stamp may be switched off.
var commit string

func revision() string {
	r := commit
	if r == "" {
		r = setting("vcs.revision")
		r = r[:min(len(r), 12)]
	}
	if r == "" {
		return ""
	}
	return ", commit " + r
}

func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
