package front

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExitStatus(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noShebang := write("no-shebang", "exit 5", 0o755)
	noInterpreter := write("no-interpreter", "#!/nonexistent/sh\n", 0o755)
	plain := write("plain", "data", 0o644)

	for _, tt := range []struct {
		name   string
		args   []string
		want   int
		stderr string
	}{
		{"zero", []string{"true"}, 0, ""},
		{"own status", []string{"sh", "-c", "exit 7"}, 7, ""},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, 1009, ""},
		{"aborted", []string{"sh", "-c", "ulimit -c 0; kill -ABRT $$"}, 1006, ""},
		{"realtime signal", []string{"bash", "-c", "kill -40 $$"}, 1040, ""},
		{"script without #!", []string{noShebang}, 5, ""},
		{"not found in PATH", []string{"no-such-command"}, 127, "pidfd-shim: run no-such-command: command not found\n"},
		{"empty name", []string{""}, 127, "pidfd-shim: run : command not found\n"},
		{"path not found", []string{"/nonexistent/x"}, 127, "pidfd-shim: run /nonexistent/x: no such file or directory\n"},
		{"interpreter not found", []string{noInterpreter}, 127, "pidfd-shim: run " + noInterpreter + ": no such file or directory\n"},
		{"a directory", []string{dir}, 126, "pidfd-shim: run " + dir + ": permission denied\n"},
		{"not executable", []string{plain}, 126, "pidfd-shim: run " + plain + ": permission denied\n"},
		{"below a file", []string{plain + "/x"}, 126, "pidfd-shim: run " + plain + "/x: not a directory\n"},
		{"error of ours", []string{"--fail", "true"}, 125, "pidfd-shim: open the hooks: device or resource busy\n"},
		{"descriptor that is not there", []string{"--take=77", "true"}, 125, "pidfd-shim: take descriptor 77: bad file descriptor\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, append([]string{"run"}, tt.args...)...)
			got := s.status()
			if got != tt.want || s.err.String() != tt.stderr {
				t.Errorf("run %q: status %d stderr %q, want %d %q", tt.args, got, s.err.String(), tt.want, tt.stderr)
			}
		})
	}
}

// TestSearchPath: what cannot be executed is passed over, as by execvp.
func TestSearchPath(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for path, mode := range map[string]os.FileMode{first: 0o644, second: 0o755} {
		if err := os.WriteFile(filepath.Join(path, "tool"), []byte("#!/bin/sh\nexit 9\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", strings.Join([]string{first, "/nonexistent", second}, ":"))
	if got := start(t, "run", "tool").status(); got != 9 {
		t.Errorf("status %d, want 9: the executable one", got)
	}
	t.Setenv("PATH", first)
	if got := start(t, "run", "tool").status(); got != 126 {
		t.Errorf("status %d, want 126: only one that cannot be executed", got)
	}
}

// TestAccounting: the times of COMMAND are the front's children's, as `time` sums. It
// ends when it has used enough, by its own count (proc(5), stat, utime: 10 ms each).
func TestAccounting(t *testing.T) {
	const loop = `until read -r stat </proc/self/stat && set -- $stat && [ ${14} -ge 10 ]; do
i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; done`
	s := start(t, "run", "sh", "-c", loop)
	if got := s.status(); got != 0 {
		t.Fatalf("status %d, want 0", got)
	}
	if used := s.ProcessState.UserTime(); used.Milliseconds() < 100 {
		t.Errorf("user time %v, want that of the loop", used)
	}
}
