package emulate

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLabelIsReadAnew: a caller that is kept has the label that it has now; a file stands for
// its attr/current. One that cannot be read is another than the supervisor's.
func TestLabelIsReadAnew(t *testing.T) {
	h := testHandler(t, ModeForward)
	self := int32(os.Getpid())
	c, err := h.callers.get(self)
	if err != nil {
		t.Fatal(err)
	}
	if h.tasks.Self.Label == "" && (c.label >= 0 || c.labelled) {
		t.Error("no security module labels tasks, and one is asked")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "current"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	h.tasks.Self.Label, h.callers.label, c.label = "unconfined\n", nil, int(file.Fd())
	for _, row := range []struct {
		text     string
		labelled bool
	}{
		{"unconfined\n", false},
		{"evince (enforce)\n", true},
		{"unconfined\n", false},
		{"unconfined\n//&more (enforce)\n", true},
		{"unconf", true},
		{"", true},
	} {
		if err := os.WriteFile(file.Name(), []byte(row.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if again, err := h.callers.get(self); err != nil || again != c || again.labelled != row.labelled {
			t.Errorf("label %q: labelled %t, %v; want %t", row.text, again.labelled, err, row.labelled)
		}
	}
	c.label = 1 << 20
	if again, _ := h.callers.get(self); !again.labelled {
		t.Error("a label that cannot be read is taken for ours")
	}
	c.label = -1 // the file's owner closes it
}
