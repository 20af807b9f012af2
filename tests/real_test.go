package tests

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// realMode is a way to run a program under the shim, and who then runs its calls.
type realMode struct {
	name, path string // path "" is any
	flags      []string
}

var realModes = []realMode{
	{"auto", "", []string{"--mode", "auto"}},
	{"continue", "continue", []string{"--mode", "continue"}},
	{"forward", "forward", []string{"--mode", "forward"}},
	{"caller", "caller", []string{"--mode", "caller"}},
	{"emulate", "emulate", []string{"--mode", "emulate"}},
	{"ptrace", "", []string{"--backend", "ptrace"}},
}

// answers tells whether the caller's result is the supervisor's word, so that it is
// known here; else the kernel gave it to the caller.
func (m realMode) answers() bool { return m.path == "forward" || m.path == "emulate" }

// TestRealPrograms runs programs that others wrote natively and in each mode. How they
// end and what they print is to be equal, and so are their calls: a program that meets
// one wrong answer falls back to kill, for good, and ends with 0 all the same.
func TestRealPrograms(t *testing.T) {
	_, err := exec.LookPath("strace")
	skip.If(t, err)
	buildShim(t)
	for _, r := range realPrograms {
		t.Run(r.name, func(t *testing.T) {
			p := r.prepare(t)
			native := p.runNative(t)
			if bare := p.run(t); bare.status != native.status || bare.output != native.output {
				t.Fatalf("strace is noticed, so it cannot count: status %d and %d\n%s", bare.status, native.status, sideBySide(r.name, bare.output, native.output))
			}
			if len(native.calls) < r.least || r.least == 0 && len(native.calls) > 0 {
				t.Fatalf("%d calls natively, at least %d are known", len(native.calls), r.least)
			}
			t.Logf("%d calls natively, status %d", len(native.calls), native.status)
			t.Run("auto-unseen", func(t *testing.T) {
				got := p.run(t, buildShim(t), "run", "--wait", "all", "--")
				p.compare(t, native, got, "auto")
			})
			for _, m := range realModes {
				t.Run(m.name, func(t *testing.T) {
					got := p.runShim(t, m.flags...)
					p.compare(t, native, got, m.name)
					m.compareCalls(t, native.calls, got.calls)
				})
			}
		})
	}
}

func (p program) compare(t *testing.T, native, got outcome, mode string) {
	t.Helper()
	want := native.output
	if p.known != nil {
		want = p.known(mode, want)
	}
	if got.status != native.status {
		t.Errorf("status %d natively, %d under the shim", native.status, got.status)
	}
	if got.output != want {
		t.Errorf("%s", sideBySide(shellLine(p.argv), want, got.output))
	}
}

// unfelt tells of a call that goes through the handle whatever was asked for, so that its target
// does not feel a guard: it ignores the signal (docs/FIDELITY.md). A background job of bash ignores
// the terminal's.
func (m realMode) unfelt(c call) bool {
	ignored := []int{int(unix.SIGCONT), int(unix.SIGCHLD), int(unix.SIGWINCH), int(unix.SIGURG), int(unix.SIGINT), int(unix.SIGQUIT)}
	return (m.path == "caller" || m.path == "emulate") && c.path == "forward" && slices.Contains(ignored, c.sig)
}

func (m realMode) compareCalls(t *testing.T, native, got []call) {
	t.Helper()
	if len(got) != len(native) {
		t.Errorf("%d calls natively, %d under the shim", len(native), len(got))
	}
	if want, have := signalsOf(native), signalsOf(got); !slices.Equal(want, have) {
		t.Errorf("signals natively   %v\nunder the shim     %v", want, have)
	}
	if want, have := resultsOf(native), resultsOf(got); m.answers() && !slices.Equal(want, have) {
		t.Errorf("results natively   %q\nunder the shim     %q", want, have)
	}
	handed := 0
	for _, c := range got {
		refused := c.path == "none" && c.errno != ""
		// docs/FIDELITY.md; a caller's call is handed back where the target cannot be pinned:
		// it has died, and is a zombie.
		handedBack := c.path == "continue" && (m.path == "forward" && c.own || m.path == "caller")
		if handedBack && m.path == "caller" {
			handed++
		}
		if m.path != "" && c.path != m.path && !refused && !handedBack && !m.unfelt(c) {
			t.Errorf("signal %d went by path %s, errno %q", c.sig, c.path, c.errno)
		}
	}
	if handed > len(got)/2 {
		t.Errorf("%d of %d calls were handed back to the kernel: that is not mode caller", handed, len(got))
	}
}

// TestRealCountNoticesFallback shows why calls are counted: Go's tests pass, with the
// same output, where the call does not work at all.
func TestRealCountNoticesFallback(t *testing.T) {
	_, err := exec.LookPath("strace")
	skip.If(t, err)
	p := goTests("os/exec", "amd64", execByChance)(t)
	native := p.runNative(t)
	without := p.runNative(t, "-e", "inject=pidfd_send_signal:error=ENOSYS")
	if without.status != native.status || without.output != native.output {
		t.Errorf("Go's tests notice that the call is missing:\n%s", sideBySide("os/exec", native.output, without.output))
	}
	if slices.Equal(signalsOf(without.calls), signalsOf(native.calls)) {
		t.Errorf("the calls are the same %d where the call is missing: counting shows nothing", len(native.calls))
	}
}

// TestRealSubprocess is CPython's test_subprocess under ptrace: fork, vfork and exec in
// every form, threads, signals, and what is left over. Under soak it is the whole.
func TestRealSubprocess(t *testing.T) {
	patterns := []string{"*POSIXProcessTestCase*"}
	if soaking {
		patterns = nil
	}
	p := pythonTests("test_subprocess", patterns...)(t)
	native := p.run(t)
	got := p.run(t, buildShim(t), "run", "--backend", "ptrace", "--wait", "all", "--")
	p.compare(t, native, got, "ptrace")
	if n := strings.Count(native.output, "\n"); native.status != 0 || n < 60 {
		t.Errorf("status %d, %d lines natively: this shows little\n%s", native.status, n, native.output)
	}
}
