package arch

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// The names and their numbers, by the headers of this machine: what a header is too
// old to have is left out.
func TestCodeNamesAgainstHeader(t *testing.T) {
	header, err := exec.Command("gcc", "-E", "-dM", "-include", "asm/siginfo.h", "-x", "c", "/dev/null").CombinedOutput()
	if err != nil {
		t.Skipf("gcc -E: %v: %s", err, header)
	}
	defined := map[string]string{}
	for line := range strings.Lines(string(header)) {
		words := strings.Fields(line)
		if len(words) == 3 {
			defined[words[1]] = words[2]
		}
	}
	seen := 0
	for _, signo := range []int32{4, 5, 7, 8, 11, 17, 29, 31} {
		for code := int32(-60); code <= 128; code++ {
			number, found := defined[CodeName(signo, code)]
			if !found {
				continue
			}
			seen++
			if number != fmt.Sprint(code) && number != fmt.Sprintf("%#x", code) {
				t.Errorf("CodeName(%d, %d) = %s, which is %s", signo, code, CodeName(signo, code), number)
			}
		}
	}
	if seen < 8*10+11+15 {
		t.Errorf("only %d names are in the header", seen)
	}
}
