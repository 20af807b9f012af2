//go:build kernels

package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// doctorReport is what the test reads of `doctor --json`.
type doctorReport struct {
	Features []struct{ Name, State, Why string }
	Run      doctorWay
	Ways     []doctorWay
}

type doctorWay struct {
	Backend, Mode, Guard, Why, Fidelity string
	Available                           bool
}

func (r doctorReport) state(name string) string {
	for _, f := range r.Features {
		if f.Name == name {
			return f.State
		}
	}
	return ""
}

func readDoctor(t *testing.T, job ranJob) doctorReport {
	t.Helper()
	var r doctorReport
	if err := json.Unmarshal([]byte(job.stdout), &r); err != nil || job.end != "ok" {
		t.Errorf("doctor --json: ended with %q: %v; stderr: %s", job.end, err, job.stderr)
	}
	return r
}

// since is the first kernel that has a feature, by doctor's name for it. What hangs on
// a kernel's configuration is not here: Landlock, x32.
var since = map[string]version{
	"pidfd_send_signal": original, "pidfd_open": pidfdOpen, "pidfd_getfd": {5, 6}, "PIDFD_THREAD": {6, 9},
	"signal flags": {6, 9}, "pidfd namespaces": {6, 11}, "PIDFD_GET_INFO": {6, 13}, "PIDFD_SELF": {6, 15},

	"user notification": {5, 0}, "listener": {5, 0}, "ID_VALID (old)": {5, 0}, "FLAG_CONTINUE": {5, 5},
	"TSYNC_ESRCH": {5, 7}, "ID_VALID (new)": {5, 9}, "ADDFD": {5, 9}, "WAIT_KILLABLE_RECV": {5, 19}, "SYNC_WAKE_UP": {6, 6},

	"PTRACE_SEIZE": {3, 4}, "GET_SYSCALL_INFO": {5, 3}, "process_vm_readv": {3, 2}, "kcmp files": {3, 5},
	"pid translation": {6, 11}, "openat2": {5, 6}, "detached procfs": {5, 2}, "i386": {2, 6},
}

// backported are features that stable kernels before the version have too.
var backported = map[string]bool{"pid translation": true, "ID_VALID (new)": true}

// judgeDoctor checks that doctor tells this kernel's story: what there is by the
// version, what is used, and for each way that is not there a reason.
func judgeDoctor(t *testing.T, k vmKernel) {
	for name, first := range since {
		state := k.found.state(name)
		switch {
		case !k.number.before(first) && state != "present":
			t.Errorf("doctor on %s: %s is %q, and Linux has it since %s", k.release, name, state, first)
		case k.number.before(first) && state != "absent" && !backported[name]:
			t.Errorf("doctor on %s: %s is %q before Linux %s", k.release, name, state, first)
		}
	}
	if k.full() && k.found.state("x32") != "present" {
		t.Errorf("doctor on %s: x32 is %q, and Debian's full flavour has it", k.release, k.found.state("x32"))
	}
	golden := filepath.Join("testdata", "doctor", storyOf(k.number)+".txt")
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	// The verdict, and the ways. Between them are the features, and whether real calls reach
	// us, which a machine without other filters has them do.
	verdict, rest, _ := strings.Cut(k.ran["doctor"].stdout, "\n\n")
	_, rest, _ = strings.Cut(rest, "A REAL CALL ")
	reach, ways, _ := strings.Cut(rest, "\n\n")
	story := verdict + "\n\n" + ways
	for _, line := range strings.Split(reach, "\n")[1:] {
		if !strings.Contains(line, "reaches us") && strings.Contains(line, "pidfd_send_signal") {
			t.Errorf("doctor on %s: %s", k.release, line)
		}
	}
	if story != string(want) || k.ran["doctor"].end != "ok" {
		t.Errorf("doctor on %s (ended with %q) is not %s:\n%s", k.release, k.ran["doctor"].end, golden, sideBySide("doctor", string(want), story))
	}
	for _, mode := range vmModes() {
		if available := !k.number.before(mode.since); k.found.has(mode) != available {
			t.Errorf("doctor on %s: backend %s, mode %s: available is %v, want %v", k.release, mode.backend, mode.name, !available, available)
		}
	}
}

// has tells whether doctor lists a way as available. It does not list auto by backend.
func (r doctorReport) has(m vmMode) bool {
	want := strings.TrimPrefix(m.name, "ptrace-")
	switch want {
	case "auto", "auto-trace":
		return r.state("listener") == "present"
	case "ptrace":
		want = "caller"
	}
	for _, way := range r.Ways {
		if way.Backend == m.backend && way.Mode == want {
			return way.Available
		}
	}
	return false
}

// storyOf names the golden file: kernels differ in what they lack for a way to be there.
func storyOf(number version) string {
	switch {
	case number.before(version{5, 0}):
		return "no-listener"
	case number.before(original):
		return "no-call"
	}
	return "all-ways"
}

// saveDoctor leaves what doctor said in build/kernels, for people.
func (k vmKernel) saveDoctor(t *testing.T) {
	t.Helper()
	text := "Linux " + k.release + "\n" + k.ran["doctor"].stdout + k.ran["doctor"].stderr
	if err := os.WriteFile(filepath.Join(mustBuildDir(t), "kernels", k.name+".doctor"), []byte(text), 0o644); err != nil {
		t.Error(err)
	}
}
