// Command fronttest runs a command under package front with a supervisor that
// supervises nothing, so that front can be tested before and without the rest.
package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/front"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == front.SupervisorCommand {
		os.Exit(front.Supervise(os.Args[2:], open))
	}
	opts := front.Options{}
	args := os.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		if args[0] == "--wait=all" {
			opts.WaitAll = true
		} else {
			opts.Config = append(opts.Config, args[0])
		}
		args = args[1:]
	}
	opts.Command = args
	os.Exit(front.Main(opts))
}

// open knows --take=FD, which keeps FD from the command and writes a line to it
// when the command has ended, and --keep-stderr.
func open(config []string, inherited *front.Inherited) (front.Hooks, error) {
	hooks := front.Hooks{Start: start}
	for _, word := range config {
		if word == "--keep-stderr" {
			hooks.KeepStderr = true
		}
		if fd, ok := strings.CutPrefix(word, "--take="); ok {
			n, err := strconv.Atoi(fd)
			if err != nil {
				return hooks, err
			}
			file, err := inherited.Take(n)
			if err != nil {
				return hooks, err
			}
			hooks.Ended = func() { _, _ = file.WriteString("taken\n") }
		}
	}
	return hooks, nil
}

// start forks on a thread that ends with the goroutine, as the filter's will.
func start(fork front.Fork) (pid int, err error) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		pid, err = fork(nil)
		close(done)
	}()
	<-done
	return pid, err
}
