package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestIsRuleName(t *testing.T) {
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	for _, name := range []string{
		"", "a", "Z", "0", "a-b.c_d", "-a", ".a", "_a", "a-", "a b", "a\n", "\na", "aé", "éa", "\xff", "a\xff", "a/b", "a@", "[", "`", "{", ":", "/",
		strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("-", 64), "a" + strings.Repeat("-", 63),
	} {
		if got, want := isRuleName(name), valid.MatchString(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
