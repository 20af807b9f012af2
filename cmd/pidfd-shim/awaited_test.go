package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// TestLastLineIsWritten ends the observers while a call has been answered and its line
// is still to be made, as happens when the caller is the last of COMMAND to end.
func TestLastLineIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &observers{log: slog.New(slog.DiscardHandler)}
	w, err := o.writer(func() (*os.File, error) { return file, nil }, 0)
	if err != nil {
		t.Fatal(err)
	}
	o.list.Several = append(o.list.Several, audit.NewTrace(w))

	var call shim.Call
	observer, verdict := o.observer(), shim.Return(0)
	observer.Before(&call, verdict)
	closed := make(chan struct{})
	go func() { o.close(); close(closed) }()
	for o.list.calls.TryRLock() { // until close waits
		o.list.calls.RUnlock()
		select {
		case <-closed:
			t.Fatal("the end did not wait for a call that is under way")
		default:
		}
	}
	observer.After(&call, verdict, nil)
	<-closed
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("got %q, %v, want one line", text, err)
	}
}
