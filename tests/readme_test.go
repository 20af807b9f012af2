package tests

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	readmeExample = regexp.MustCompile("(?s)```console\n\\$ (bin/pidfd-shim [^\n]*)\n(.*?)```")
	// ids differ from run to run, as does who of us is root.
	readmeIDs = regexp.MustCompile(`(\[|/proc/|si_pid=|si_uid=)\d+`)
)

// TestReadmeExample runs what README.md shows: its output is what one sees. Only the
// order of standard output and standard error is chance.
func TestReadmeExample(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := readmeExample.FindStringSubmatch(string(text))
	if example == nil {
		t.Fatal("no example in README.md")
	}
	argv := strings.Fields(example[1])
	for i, word := range argv {
		switch word {
		case "bin/pidfd-shim":
			argv[i] = buildShim(t)
		case "bin/demo32":
			argv[i] = demo("m32")(t).argv[0]
		}
	}
	got := program{argv: argv}.run(t)
	if want, have := sortedLines(example[2]), sortedLines(got.output); got.status != 0 || !slices.Equal(want, have) {
		t.Errorf("%s: status %d, got\n%s\nREADME.md says\n%s", example[1], got.status, strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(readmeIDs.ReplaceAllString(text, "${1}N")), "\n")
	slices.Sort(lines)
	return lines
}
