package tests

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReload: a policy file that is replaced is in force for the calls to come, a bad one
// leaves the old in force and says so, and SIGHUP reads it again. What the filter was
// made of stays: the log names the rules that it does not hand over. All of that also where
// SIGHUP was ignored before (nohup).
func TestReload(t *testing.T) {
	const nohup = "nohup"
	for _, way := range [][]string{{"--mode", "forward"}, {"--mode", "auto", nohup}, {"--backend", "ptrace"}, {"--backend", "ptrace", nohup}} {
		t.Run(strings.Join(way, " "), func(t *testing.T) {
			disposition := "-"
			if i := slices.Index(way, nohup); i >= 0 {
				way, disposition = way[:i], "''"
			}
			file := filepath.Join(t.TempDir(), "policy.yaml")
			replace(t, file, "version: 1\nrules: [{name: a, action: deny, errno: EUNATCH, match: {target: {uid: [1000]}}}]\n")
			r := reloading(t, append([]string{"sh", "-c", "trap " + disposition + ` HUP; exec "$@"`, "sh", buildShim(t), "run", "--log-level", "info", "--policy", file}, append(way, "--", buildCalls(t, "m64"))...))
			r.expect("child 0 9999", unix.EUNATCH)
			r.expect("self 0 9999", 0)

			replace(t, file, "version: 1\nrules: [{name: b, action: deny, errno: EXFULL, match: {target: {relation: [self]}}}]\n")
			r.log.await(t, "policy reloaded")
			r.expect("child 0 9999", 0)
			r.expect("self 0 9999", unix.EXFULL)

			replace(t, file, "version: 1\nrules: [{name: c, action: deny, match: {target: {relation: [sibling]}}}]\n")
			r.log.await(t, "the old one stays in force")
			r.expect("self 0 9999", unix.EXFULL)

			replace(t, file, "version: 1\nsyscalls: all\n")
			r.log.await(t, "start the command anew")
			r.expect("self 0 9999", unix.EXFULL)

			// Written in place, which is noticed too; SIGHUP comes on top.
			if err := os.WriteFile(file, []byte("version: 1\nrules: [{name: d, action: deny, errno: EUNATCH, match: {signals: [0]}}]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r.log.await(t, "rules=\"d")
			r.hangUp()
			r.log.awaitCount(t, 2, "rules=\"d")
		})
	}
}

// replace puts a file in another's place at once.
func replace(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// reloader is calls.c under the shim, and what the shim logs.
type reloader struct {
	t     *testing.T
	front int
	in    io.Writer
	out   *bufio.Scanner
	log   *watchedLog
}

func reloading(t *testing.T, argv []string) *reloader {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := newWatchedLog()
	stderr := log.pipe(t)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = stderr.(*os.File).Close()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &reloader{t, cmd.Process.Pid, in, bufio.NewScanner(out), log}
}

// expect makes a call: a target, a signal and a code of calls.c.
func (r *reloader) expect(call string, want unix.Errno) {
	r.t.Helper()
	fmt.Fprintf(r.in, "pidfd_send_signal %s 0 0\n", call)
	if !r.out.Scan() || r.out.Text() != fmt.Sprint(int(want)) {
		r.t.Fatalf("call %q: errno %q, want %d (%v)", call, r.out.Text(), int(want), want)
	}
}

// hangUp sends SIGHUP to whoever answers calls: the supervisor, or its tracer.
func (r *reloader) hangUp() {
	r.t.Helper()
	for _, role := range []string{"__tracer", "__supervise"} {
		if pid := descendant(r.front, role); pid > 0 {
			if err := unix.Kill(pid, unix.SIGHUP); err != nil {
				r.t.Fatal(err)
			}
			return
		}
	}
	r.t.Fatal("no supervisor found")
}

// descendant finds a process below pid by its first argument.
func descendant(pid int, role string) int {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		text, _ := os.ReadFile(file)
		for word := range strings.FieldsSeq(string(text)) {
			var child int
			_, _ = fmt.Sscan(word, &child)
			args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			if strings.HasPrefix(string(args), "pidfd-shim\x00"+role+"\x00") {
				return child
			}
			if found := descendant(child, role); found > 0 {
				return found
			}
		}
	}
	return 0
}
