package arch

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// What the tables say of a member, three ways: these literals, the table that
// decodes, and a C compiler.
var memberOffsets = []struct {
	name                   string
	native, i386, x32      int
	size64, size32, sizeX2 int
}{
	{"si_signo", 0, 0, 0, 4, 4, 4},
	{"si_errno", 4, 4, 4, 4, 4, 4},
	{"si_code", 8, 8, 8, 4, 4, 4},
	{"si_pid", 16, 12, 12, 4, 4, 4},
	{"si_uid", 20, 16, 16, 4, 4, 4},
	{"si_tid", 16, 12, 12, 4, 4, 4},
	{"si_overrun", 20, 16, 16, 4, 4, 4},
	{"si_value", 24, 20, 20, 8, 4, 4},
	{"si_status", 24, 20, 20, 4, 4, 4},
	{"si_utime", 32, 24, 24, 8, 4, 8},
	{"si_stime", 40, 28, 32, 8, 4, 8},
	{"si_addr", 16, 12, 12, 8, 4, 4},
	{"si_addr_lsb", 24, 16, 16, 2, 2, 2},
	{"si_lower", 32, 20, 20, 8, 4, 4},
	{"si_upper", 40, 24, 24, 8, 4, 4},
	{"si_pkey", 32, 20, 20, 4, 4, 4},
	{"si_perf_data", 24, 16, 16, 8, 4, 4},
	{"si_perf_type", 32, 20, 20, 4, 4, 4},
	{"si_perf_flags", 36, 24, 24, 4, 4, 4},
	{"si_band", 16, 12, 12, 8, 4, 4},
	{"si_fd", 24, 16, 16, 4, 4, 4},
	{"si_call_addr", 16, 12, 12, 8, 4, 4},
	{"si_syscall", 24, 16, 16, 4, 4, 4},
	{"si_arch", 28, 20, 20, 4, 4, 4},
}

func TestOffsets(t *testing.T) {
	for _, members := range layoutMembers {
		for _, m := range members {
			checkMember(t, m)
		}
	}
}

func checkMember(t *testing.T, m member) {
	name := strings.Replace(m.name, "si_timerid", "si_tid", 1)
	for _, want := range memberOffsets {
		if want.name != name {
			continue
		}
		if int(m.at) != want.native || m.kind.size() != want.size64 {
			t.Errorf("%s: %d bytes at %d, want %d at %d", name, m.kind.size(), m.at, want.size64, want.native)
		}
		if m.at32 != 0 && (int(m.at32) != want.i386 || m.kind.size32() != want.size32) {
			t.Errorf("%s, 32 bits: %d bytes at %d, want %d at %d", name, m.kind.size32(), m.at32, want.size32, want.i386)
		}
		return
	}
	t.Errorf("%s has no literal offset", name)
}

// The kernel's own header, for all three ABIs: -mx32 needs no C library as nothing
// is linked.
func TestOffsetsAgainstCompiler(t *testing.T) {
	for _, width := range []string{"-m64", "-m32", "-mx32"} {
		t.Run(width, func(t *testing.T) {
			compile(t, width, "#include <asm/siginfo.h>\n"+assertions(width))
		})
	}
}

// assertions has one for the place and one for the width of each member.
func assertions(width string) string {
	var c strings.Builder
	c.WriteString("#include <stddef.h>\nstatic siginfo_t s;\n_Static_assert(sizeof s == 128, \"siginfo_t\");\n")
	for _, m := range memberOffsets {
		at, size := m.native, m.size64
		switch width {
		case "-m32":
			at, size = m.i386, m.size32
		case "-mx32":
			at, size = m.x32, m.sizeX2
		}
		fmt.Fprintf(&c, "_Static_assert(offsetof(siginfo_t, %s) == %d, \"%s\");\n", m.name, at, m.name)
		fmt.Fprintf(&c, "_Static_assert(sizeof s.%s == %d, \"sizeof %s\");\n", m.name, size, m.name)
	}
	return c.String()
}

// compile fails on a false assertion, and skips where gcc cannot do the width at all.
func compile(t *testing.T, width, source string) {
	t.Helper()
	if out, err := gcc(width, "#include <asm/siginfo.h>\n"); err != nil {
		t.Skipf("gcc %s: %v: %s", width, err, out)
	}
	if out, err := gcc(width, source); err != nil {
		t.Errorf("gcc %s: %v\n%s", width, err, out)
	}
}

func gcc(width, source string) ([]byte, error) {
	cmd := exec.Command("gcc", width, "-fsyntax-only", "-x", "c", "-")
	cmd.Stdin = strings.NewReader(source)
	return cmd.CombinedOutput()
}
