package tests

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	// ids differ from run to run, as does who of us is root.
	shownIDs = regexp.MustCompile(`(\[|/proc/|si_pid=|si_uid=)\d+`)
	// A command of ours in a line of its own, without the words that explain it.
	shownCommand = regexp.MustCompile(`(?m)^    (pidfd-shim .*?)(?:  +[^ ].*)?$`)
	namedCommand = regexp.MustCompile("`(pidfd-shim [a-z][^`]*)`")
	makeTarget   = regexp.MustCompile("(?:^|[\n`])(?:    )?make ([a-z]+)[ `\n]")
	longFlag     = regexp.MustCompile(`--[a-z][a-z-]+`)
)

// documents are the pages that show commands.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Base(file) != "CHANGELOG.md" { // of commands that were
				pages[strings.TrimPrefix(file, "../")] = readFile(t, file)
			}
		}
	}
	return pages
}

// typist runs a line of a page in a folder.
type typist struct {
	dir      string
	programs *strings.Replacer
}

func newTypist(t *testing.T) typist {
	t.Helper()
	self := fmt.Sprint(os.Getpid())
	return typist{t.TempDir(), strings.NewReplacer(
		"bin/pidfd-shim", buildShim(t), "bin/demo32", demo("m32")(t).argv[0], "pidfd-shim ", buildShim(t)+" ",
		"docs/policies/", mustAbs(t, "../docs/policies")+"/", "COMMAND", "sh -c 'kill -0 $$'",
		"4711", self, "MASTER", self, "WORKER", self,
	)}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func (s typist) run(t *testing.T, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", s.programs.Replace(line))
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestShownOutput runs what pages show with its output: that is what one sees. Only the order of
// standard output and standard error is chance. A file that is shown first is written.
func TestShownOutput(t *testing.T) {
	ran := 0
	for page, text := range documents(t) {
		s := newTypist(t)
		for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
			for _, step := range strings.Split("\n"+block[1], "\n$ ")[1:] {
				line, want, _ := strings.Cut(step, "\n")
				if name, shows := strings.CutPrefix(line, "cat "); shows {
					replace(t, filepath.Join(s.dir, name), want)
				}
				got, err := s.run(t, line)
				if ran++; !slices.Equal(sortedLines(want), sortedLines(got)) {
					t.Errorf("%s: %s: %v, got\n%s\nthe page says\n%s", page, line, err, got, want)
				}
			}
		}
	}
	if ran < 5 {
		t.Errorf("%d commands were found", ran)
	}
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(shownIDs.ReplaceAllString(text, "${1}N")), "\n")
	slices.Sort(lines)
	return lines
}

// TestShownCommands runs, one after the other, what docs/POLICY.md says to type, on files that
// the commands before have made.
func TestShownCommands(t *testing.T) {
	s := newTypist(t)
	replace(t, filepath.Join(s.dir, "rules.yaml"), "version: 1\nsyscalls: all\n")
	commands := shownCommand.FindAllStringSubmatch(readFile(t, "../docs/POLICY.md"), -1)
	slices.SortStableFunc(commands, func(a, b []string) int { // what makes the recording first
		return strings.Compare(fmt.Sprint(!makesRecording(a[1])), fmt.Sprint(!makesRecording(b[1])))
	})
	for _, c := range commands {
		if out, err := s.run(t, c[1]); err != nil {
			t.Errorf("%s: %v\n%s", c[1], err, out)
		}
	}
	if len(commands) < 12 {
		t.Errorf("%d commands were found", len(commands))
	}
}

func makesRecording(command string) bool {
	return strings.Contains(command, "record")
}

// TestNamedCommands looks for each command that a page, a manual or a help names: it is there,
// and has these flags. So are the targets of make.
func TestNamedCommands(t *testing.T) {
	s := newTypist(t)
	help := map[string]string{}
	helpOf := func(words []string) string {
		name := strings.Join(words, " ")
		if _, known := help[name]; !known {
			help[name], _ = s.run(t, "pidfd-shim "+name+" --help")
		}
		return help[name]
	}
	pages := documents(t)
	subcommands := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`)
	for _, m := range subcommands.FindAllStringSubmatch(helpOf(nil), -1) {
		pages["help of "+m[1]] = indentExamples(helpOf(m[1:]))
		for _, sub := range subcommands.FindAllStringSubmatch(helpOf(m[1:]), -1) {
			pages["help of "+m[1]+" "+sub[1]] = indentExamples(helpOf([]string{m[1], sub[1]}))
		}
	}
	named := 0
	makefile := readFile(t, "../Makefile")
	for page, text := range pages {
		for _, m := range slices.Concat(namedCommand.FindAllStringSubmatch(text, -1), shownCommand.FindAllStringSubmatch(text, -1)) {
			named++
			ours, _, _ := strings.Cut(m[1], " -- ")
			words := strings.Fields(ours)[1:]
			if len(words) > 1 && words[0] == "policy" && !strings.HasPrefix(words[1], "-") {
				words = words[:2]
			} else {
				words = words[:1]
			}
			usage := helpOf(words)
			for _, flag := range longFlag.FindAllString(ours, -1) {
				if !strings.Contains(usage, flag) {
					t.Errorf("%s: %s: no flag %s", page, m[1], flag)
				}
			}
			if !strings.Contains(usage, "pidfd-shim "+words[0]) && !strings.HasPrefix(words[0], "__") {
				t.Errorf("%s: %s: no such command", page, m[1])
			}
		}
		for _, m := range makeTarget.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: make %s: no such target", page, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("%d commands were found", named)
	}
}

// indentExamples has a help's examples as a page has its commands.
func indentExamples(help string) string {
	return strings.ReplaceAll(help, "\n  pidfd-shim ", "\n    pidfd-shim ")
}
