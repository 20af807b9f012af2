package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"
)

// logging is how run and serve log.
type logging struct {
	LogLevel  string `json:"log_level"`
	LogFormat string `json:"log_format"`
}

var (
	logLevels  = []string{"debug", "info", "warn", "error"}
	logFormats = []string{"text", "json"}
)

func (l *logging) addFlags(cmd *cobra.Command, level string) {
	cmd.Flags().StringVar(&l.LogLevel, "log-level", level, "what is logged to stderr: "+words(logLevels))
	cmd.Flags().StringVar(&l.LogFormat, "log-format", "text", "how: "+words(logFormats))
	completeFlag(cmd, "log-level", logLevels)
	completeFlag(cmd, "log-format", logFormats)
}

func (l *logging) check() error {
	switch {
	case !slices.Contains(logLevels, l.LogLevel):
		return fmt.Errorf("--log-level %s: no such value, it takes %s", l.LogLevel, words(logLevels))
	case !slices.Contains(logFormats, l.LogFormat):
		return fmt.Errorf("--log-format %s: no such value, it takes %s", l.LogFormat, words(logFormats))
	}
	return nil
}

func (l *logging) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.LogLevel))
	options := &slog.HandlerOptions{Level: level}
	switch {
	case l.LogFormat == "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	case journalled(os.Stderr):
		return slog.New(newJournalHandler(os.Stderr, level))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
