package tests

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMarks are what every run lets a program see of the filter, and one that was started
// without root of the privilege that is not there. docs/FIDELITY.md lists them.
func TestMarks(t *testing.T) {
	want := map[string]int{"seccomp": 2, "no_new_privs": 0, "get_filter": int(unix.EACCES), "suspend": int(unix.EPERM)}
	argv := attackIn(t, "forward", "m64", "marks")
	if os.Geteuid() != 0 {
		want["no_new_privs"] = 1
	}
	expect(t, argv, attackNumbers(t, argv), want)
	if os.Geteuid() == 0 {
		want["no_new_privs"] = 1
		argv = slices.Concat([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"}, argv)
		expect(t, argv, attackNumbers(t, argv), want)
	}
}
