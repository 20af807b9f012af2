package supervisor

import (
	"errors"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

func TestBlameNamesTheTraceOrderFirst(t *testing.T) {
	other := errors.New("read our pid namespace: invalid cross-device link")
	old := kernel.Features{OldTraceOrder: true}
	if err := (Plan{Backend: BackendPtrace}).blame(old, other); !strings.HasSuffix(err.Error(), OldTraceOrder) {
		t.Errorf("under ptrace, in the old order: %v", err)
	}
	if err := (Plan{Backend: BackendNotify}).blame(old, other); !errors.Is(err, other) {
		t.Errorf("under notify, which does not trace: %v", err)
	}
	// This machine's own order is the new one.
	if err := (Plan{Backend: BackendPtrace}).blame(kernel.Features{}, other); !errors.Is(err, other) {
		t.Errorf("under ptrace, in the new order: %v", err)
	}
}
