package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/journal"
)

// journalled tells whether what is written there goes to systemd's journal.
func journalled(out io.Writer) bool {
	yes, _ := journal.StderrIsJournalStream() // an error: nobody has told us so
	return yes && out == os.Stderr
}

// journalHandler writes lines for systemd's journal, which takes a level that is put
// before the line and knows the time itself: sd-daemon(3), SyslogLevelPrefix=.
type journalHandler struct {
	levels map[slog.Level]slog.Handler // each writes its own prefix
}

// priorities are syslog's numbers of the levels that we use.
var priorities = map[slog.Level]string{
	slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>",
}

func newJournalHandler(out io.Writer, least slog.Level) journalHandler {
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}
	return journalHandler{}.each(func(level slog.Level, _ slog.Handler) slog.Handler {
		return slog.NewTextHandler(prefixed{out, priorities[level]}, options)
	})
}

// each makes the handler whose part for each level is what f makes of this one's.
func (h journalHandler) each(f func(slog.Level, slog.Handler) slog.Handler) journalHandler {
	made := journalHandler{map[slog.Level]slog.Handler{}}
	for level := range priorities {
		made.levels[level] = f(level, h.levels[level])
	}
	return made
}

// of is the handler of a level: ours, or the next below.
func (h journalHandler) of(level slog.Level) slog.Handler {
	switch {
	case level >= slog.LevelError:
		return h.levels[slog.LevelError]
	case level >= slog.LevelWarn:
		return h.levels[slog.LevelWarn]
	case level >= slog.LevelInfo:
		return h.levels[slog.LevelInfo]
	}
	return h.levels[slog.LevelDebug]
}

// Enabled implements slog.Handler.
func (h journalHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.of(level).Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.of(r.Level).Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.each(func(_ slog.Level, part slog.Handler) slog.Handler { return part.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h journalHandler) WithGroup(name string) slog.Handler {
	return h.each(func(_ slog.Level, part slog.Handler) slog.Handler { return part.WithGroup(name) })
}

// prefixed puts a prefix before each line, which slog writes whole.
type prefixed struct {
	out    io.Writer
	prefix string
}

func (p prefixed) Write(line []byte) (int, error) {
	if _, err := p.out.Write(bytes.Join([][]byte{[]byte(p.prefix), line}, nil)); err != nil {
		return 0, err
	}
	return len(line), nil
}
