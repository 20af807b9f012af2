package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestJournalLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newJournalHandler(&out, slog.LevelInfo))
	log.Debug("not this")
	log.Info("ready", "version", 1)
	with := log.With("container", "a b").WithGroup("g")
	with.Warn("two\nlines", "time", "mine")
	with.Error("bad", "error", "why")
	with.Log(t.Context(), slog.LevelError+1, "worse")
	const want = `<6>msg=ready version=1
<4>msg="two\nlines" container="a b" g.time=mine
<3>msg=bad container="a b" g.error=why
<3>msg=worse container="a b"
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
