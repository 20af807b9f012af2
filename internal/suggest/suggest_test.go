package suggest

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	names := []string{"signals", "scope", "codes", "values", "caller", "target"}
	for word, want := range map[string]string{
		"signal": "signals", "SCOPE": "scope", "code": "codes", "calller": "caller",
		"tests": "", "x": "", "": "", strings.Repeat("signals", 1000): "",
	} {
		if got := Name(word, names); got != want {
			t.Errorf("Name(%.20q) = %q, want %q", word, got, want)
		}
	}
}
