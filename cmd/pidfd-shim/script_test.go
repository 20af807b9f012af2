package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"pidfd-shim": main,
		"receiver":   receiver,
	})
}

// The command line as its users type it: one file of testdata/script a subject.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Condition: func(condition string) (bool, error) {
			return condition == "shimtest" && testSwitches, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"json":     cmdJSON,
			"oneline":  cmdOneline,
			"receive":  cmdReceive,
			"received": cmdReceived,
			"status":   cmdStatus,
		},
		Setup: func(env *testscript.Env) error {
			env.Values[receiversKey{}] = receivers{}
			return nil
		},
	})
}

// cmdStatus is "status N PROGRAM ARG...": exec, and the program must end with N.
func cmdStatus(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARG...")
	}
	status := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("%v ended with %d, want %s", args[1:], status, args[0])
	}
}

// cmdOneline is "oneline FILE": it has exactly one line.
func cmdOneline(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		if text := ts.ReadFile(name); strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
			ts.Fatalf("%s is not one line: %q", name, text)
		}
	}
}

// cmdJSON is "json KEY...": stdout is one JSON object with these keys and no others.
func cmdJSON(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	if keys := slices.Sorted(maps.Keys(object)); !slices.Equal(keys, slices.Sorted(slices.Values(args))) {
		ts.Fatalf("keys %v, want %v", keys, args)
	}
}

// receivers are what a script has started, by name.
type receivers map[string]*bufio.Reader

// cmdReceive is "receive NAME": starts a process that waits for signals, and puts its
// pid into the environment variable NAME and the waiting thread's tid into NAME_TID.
func cmdReceive(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: receive NAME")
	}
	cmd := exec.Command("receiver")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	stdin, err := cmd.StdinPipe() // its end is the receiver's
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewReader(out)
	ts.Defer(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pid, tid, _ := strings.Cut(strings.TrimSpace(nextLine(ts, lines)), " ")
	ts.Setenv(args[0], pid)
	ts.Setenv(args[0]+"_TID", tid)
	known, _ := ts.Value(receiversKey{}).(receivers)
	known[args[0]] = lines
}

type receiversKey struct{}

// cmdReceived is "received NAME TEXT": the next signal there is TEXT.
func cmdReceived(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: received NAME TEXT")
	}
	known, _ := ts.Value(receiversKey{}).(receivers)
	if got := strings.TrimSpace(nextLine(ts, known[args[0]])); got != args[1] {
		ts.Fatalf("%s received %q, want %q", args[0], got, args[1])
	}
}

// nextLine waits for a line, with a deadline.
func nextLine(ts *testscript.TestScript, lines *bufio.Reader) string {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := lines.ReadString('\n')
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		ts.Check(a.err)
		return a.text
	case <-time.After(time.Minute):
		ts.Fatalf("receiver says nothing")
		return ""
	}
}
