package kernel_test

import (
	"os"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

func TestProbe(t *testing.T) {
	before := descriptors(t)
	set := kernel.Probe()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	names := map[string]bool{}
	for _, r := range set {
		t.Logf("%-20s %-8s %-28s %v", r.Name, r.State(), r.Detail, r.Err)
		if names[r.Name] || r.Name == "" || r.Since == "" || r.What == "" {
			t.Errorf("%+v: doubled or incomplete", r.Feature)
		}
		names[r.Name] = true
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
