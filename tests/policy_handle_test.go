package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onHandles is a policy about handles that looks at every target and denies one.
func onHandles(t *testing.T, denied string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	text := "version: 1\nsyscalls: [pidfd_open, pidfd_getfd]\nerrno: EACCES\ndefault: allow\nrules:\n" +
		"  - {name: never, action: deny, match: {target: {comm: [" + denied + "]}}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHandles: what gets a handle is as natively under a policy that looks at every target and
// allows it, in every mode; of a target that it denies there is no handle, and nothing else changes.
func TestHandles(t *testing.T) {
	for _, width := range widths {
		native := strings.Split(attackOutput(t, attackIn(t, "native", width, "handles")), "\n")
		if len(native) < 30 {
			t.Fatalf("natively:\n%s", strings.Join(native, "\n"))
		}
		for _, mode := range guardedModes {
			for _, denied := range []string{"no-such-comm", "victim"} {
				argv := underPolicy(t, mode, width, onHandles(t, denied), "handles")
				under := strings.Split(attackOutput(t, argv), "\n")
				for _, line := range lineDiff(strings.Join(deniedTo(native, denied), "\n"), strings.Join(under, "\n")) {
					t.Errorf("%s %s, denied %s: %s", mode, width, denied, line)
				}
			}
		}
	}
}

// deniedTo is what is said natively, but for who is denied.
func deniedTo(native []string, denied string) (want []string) {
	skip := false
	for _, line := range native {
		switch {
		case skip && strings.HasPrefix(line, "  "):
		case denied == "victim" && strings.HasPrefix(line, "victim"):
			line, skip = strings.TrimSuffix(line, "got")+"EACCES", true
			want = append(want, line)
		case denied == "victim" && strings.HasPrefix(line, "a file of victim's"):
			want, skip = append(want, "a file of victim's: EBADF"), true
		default:
			want, skip = append(want, line), false
		}
	}
	return want
}
