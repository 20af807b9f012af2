package tests

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestTraceIsStrace prints the calls of one program by strace and by --trace, line by line.
// Natively in both: what a policy and a mode make of a call is no part of this.
func TestTraceIsStrace(t *testing.T) {
	_, err := exec.LookPath("strace")
	skip.If(t, err)
	everything := filepath.Join(t.TempDir(), "all.yaml")
	replace(t, everything, "version: 1\nsyscalls: all\n")
	for _, width := range widths {
		bin := buildTraced(t, width)
		want := straced(t, bin)
		for _, backend := range []string{"notify", "ptrace"} {
			t.Run(width+"/"+backend, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "trace")
				argv := []string{buildShim(t), "run", "--backend", backend, "--policy", everything, "--trace=" + file, "--", bin}
				if o := (program{argv: argv}).run(t); o.status != 0 {
					t.Fatalf("%s: status %d: %s", shellLine(argv), o.status, o.output)
				}
				sameTrace(t, tracedLines(t, readFile(t, file)), want)
			})
		}
	}
}

// buildTraced compiles the program whose calls are printed.
func buildTraced(t *testing.T, width string) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), "traced-"+width)
	out, err := exec.Command("gcc", "-static", "-O1", "-"+width, "-Wall", "-Wextra", "-Werror", "-o", bin, "traced/calls.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
	}
	return bin
}

func sameTrace(t *testing.T, got, want []string) {
	t.Helper()
	if len(want) < 700 || len(got) != len(want) {
		t.Errorf("%d lines, strace has %d", len(got), len(want))
	}
	unseen := 0 // a caller that could not be held, on a loaded machine: docs/AUDIT.md
	for i := range min(len(got), len(want)) {
		if call, found := strings.CutSuffix(got[i], " = ?"); found && strings.HasPrefix(want[i], call+" = ") {
			unseen++
			continue
		}
		if got[i] != want[i] {
			t.Fatalf("line %d\n got    %s\n strace %s", i+1, got[i], want[i])
		}
	}
	if unseen > len(want)/100 {
		t.Errorf("%d results of %d were not seen", unseen, len(want))
	}
}

func straced(t *testing.T, bin string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strace")
	argv := []string{
		"strace", "-f", "-a1", "-e", "signal=none", "-o", file,
		"-e", "trace=pidfd_send_signal,kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo", bin,
	}
	if o := (program{argv: argv}).run(t); o.status != 0 {
		t.Fatalf("%s: status %d: %s", shellLine(argv), o.status, o.output)
	}
	var lines []string
	for line := range strings.Lines(readFile(t, file)) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		if call = strings.TrimSpace(call); !strings.HasPrefix(call, "+++") {
			lines = append(lines, commonTrace(pid, call))
		}
	}
	return lines
}

// tracedLines are ours, without what we say besides: who calls, whom the descriptor names,
// and how the call was answered.
func tracedLines(t *testing.T, text string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		m := tracedLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("no line of ours: %s", line)
		}
		lines = append(lines, commonTrace(m[1], tracedTarget.ReplaceAllString(m[2], "")))
	}
	return lines
}

var (
	tracedLine   = regexp.MustCompile(`^\[(\d+)\] (.*?)(?: \((?:would be|continue|caller|forward|emulate)[^()]*\))?$`)
	tracedTarget = regexp.MustCompile(`</proc/\d+>`)

	// Older straces know neither the flags nor PIDFD_SELF_*.
	traceFlags = regexp.MustCompile(`, ([0-9A-Zx_|a-f]*)(?: /\* PIDFD_SIGNAL_\?\?\? \*/)?\) = `)
	traceWords = map[string]uint64{"PIDFD_SIGNAL_THREAD": 1, "PIDFD_SIGNAL_THREAD_GROUP": 2, "PIDFD_SIGNAL_PROCESS_GROUP": 4}
	traceSelf  = strings.NewReplacer("(PIDFD_SELF_THREAD_GROUP", "(-10001", "(PIDFD_SELF_THREAD", "(-10000", "(PIDFD_SELF", "(-10000")
)

// commonTrace has flags and special descriptors as numbers, and a word for the own pid.
func commonTrace(pid, call string) string {
	call = regexp.MustCompile(`\b`+pid+`\b`).ReplaceAllString(call, "PID")
	if !strings.HasPrefix(call, "pidfd_send_signal") {
		return call
	}
	return traceSelf.Replace(traceFlags.ReplaceAllStringFunc(call, func(found string) string {
		var flags uint64
		for word := range strings.SplitSeq(traceFlags.FindStringSubmatch(found)[1], "|") {
			n, err := strconv.ParseUint(word, 0, 32)
			if err != nil {
				n = traceWords[word]
			}
			flags |= n
		}
		return ", " + strconv.FormatUint(flags, 16) + ") = "
	}))
}
