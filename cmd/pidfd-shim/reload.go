package main

import (
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// reloadPolicy puts the policy file in force again at SIGHUP and whenever it changes, as
// long as the process lives. A bad file leaves the old policy in force, and says so.
func (c *runConfig) reloadPolicy(b *supervisor.Base, log *slog.Logger) {
	file := c.Session.PolicyFile
	if file == "" {
		return
	}
	c.hangups = make(chan os.Signal, 1)
	c.hearHangups(log)
	hangups, changes := c.hangups, watchFile(file, log)
	go func() {
		for {
			select {
			case <-hangups:
			case <-changes:
				settle(changes)
			}
			switch beyond, err := b.Reload(); {
			case err != nil:
				log.Error("policy not reloaded: the old one stays in force", "error", err)
			case len(beyond) > 0:
				log.Warn("policy reloaded; the filter is as it was installed, so some rules hold only for calls that it hands over",
					"file", file, "rules", strings.Join(beyond, ", "))
			default:
				log.Info("policy reloaded", "file", file)
			}
		}
	}()
}

// hearHangups has SIGHUP read the policy again, if there is one. Where it was ignored when we
// were started (nohup), COMMAND's start has it ignored again.
func (c *runConfig) hearHangups(log *slog.Logger) {
	if c.hangups == nil {
		return
	}
	signal.Notify(c.hangups, syscall.SIGHUP)
	if err := front.Hear(unix.SIGHUP); err != nil { // the supervisor drops signals otherwise
		log.Info("SIGHUP goes unnoticed", "error", err)
	}
}

// settling is how long a file must have been left alone: one that is written in place is
// half of a policy meanwhile.
const settling = 100 * time.Millisecond

func settle(changes <-chan struct{}) {
	for {
		select {
		case <-changes:
		case <-time.After(settling):
			return
		}
	}
}

// watchFile tells of changes of a file, also of its being replaced by a rename: so it is
// the directory that is watched. Where that cannot be there is SIGHUP.
func watchFile(file string, log *slog.Logger) <-chan struct{} {
	return watchDirs([]string{filepath.Dir(file)}, log, func(event fsnotify.Event) bool {
		return filepath.Base(event.Name) == filepath.Base(file) && !event.Has(fsnotify.Remove)
	})
}

// watchDirs tells of what happens in directories and matters.
func watchDirs(dirs []string, log *slog.Logger, matters func(fsnotify.Event) bool) <-chan struct{} {
	changes := make(chan struct{}, 1)
	if len(dirs) == 0 {
		return changes
	}
	watcher, err := fsnotify.NewWatcher()
	for _, dir := range dirs {
		if err == nil {
			err = watcher.Add(dir)
		}
	}
	if err != nil {
		log.Info("changes of policy files go unnoticed: send SIGHUP", "in", strings.Join(dirs, ", "), "error", err)
		return changes
	}
	go func() {
		for event := range watcher.Events {
			if event.Op&^fsnotify.Chmod == 0 || !matters(event) {
				continue
			}
			select {
			case changes <- struct{}{}:
			default: // one is waiting to be seen already
			}
		}
	}()
	return changes
}
