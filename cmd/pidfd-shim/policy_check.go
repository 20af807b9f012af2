package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

func newPolicyCheck() *cobra.Command {
	var strict, asJSON bool
	cmd := &cobra.Command{
		Use:   "check [--strict] [--json] FILE|DIR|- ...",
		Short: "Say what is wrong with policy files, one line each: file:line:column: what",
		Long: `Say what is wrong with policy files, one line each: file:line:column: what, the text in
question, the nearest known name; below what is no YAML its line, with a mark. Warnings are
about what is probably not meant; a comment "# silence: KIND" in the line of a rule's name, or
above it, says that it is: free, open, values, unreached, comm or exe. Ends with 1 if a file is
wrong, or under --strict if there is a warning. Of a directory the files that serve
--policy-dir reads are checked; - is standard input.`,
		Example: "  pidfd-shim policy check --strict rules.yaml\n  pidfd-shim policy check /etc/pidfd-shim/policies",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			empty := cmd.OutOrStdout()
			if asJSON {
				empty = cmd.ErrOrStderr()
			}
			files, err := filesIn(empty, files)
			if err != nil {
				return err
			}
			bad, all := false, []checked{}
			for _, file := range files {
				c := checkPolicy(cmd.InOrStdin(), file)
				if !asJSON {
					c.print(cmd.OutOrStdout(), cmd.ErrOrStderr())
				}
				all = append(all, c)
				bad = bad || !c.Good || strict && len(c.Warnings) > 0
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string][]checked{"files": all}); err != nil {
					return err
				}
			}
			if bad {
				return exitStatus(statusFailed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, for programs")
	return cmd
}

// filesIn puts the policies of a directory in its place, as serve --policy-dir finds them.
func filesIn(out io.Writer, args []string) (files []string, err error) {
	for _, arg := range args {
		if info, err := os.Stat(arg); err != nil || !info.IsDir() {
			files = append(files, arg) // what is wrong with it is found when it is read
			continue
		}
		found, err := filepath.Glob(filepath.Join(arg, "[^.]*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		if len(found) == 0 {
			fmt.Fprintf(out, "%s: no policies in it\n", arg)
		}
		files = append(files, found...)
	}
	return files, nil
}

// checked is what there is to say of a file. Its JSON form is stable: names are only added.
type checked struct {
	File     string   `json:"file"`
	Good     bool     `json:"good"`
	Errors   []remark `json:"errors"`
	Warnings []remark `json:"warnings"`
	Silenced int      `json:"silenced"`
	Rules    int      `json:"rules"`
	Tests    int      `json:"tests"`

	policy *policy.Policy
	text   []byte
}

// remark is an error or a warning. Of a file that cannot be read there is no line.
type remark struct {
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Kind   string `json:"kind,omitempty"` // of a warning
	What   string `json:"what"`
}

func checkPolicy(in io.Reader, file string) checked {
	c := checked{File: file, Errors: []remark{}, Warnings: []remark{}}
	var err error
	if c.text, err = policyText(in, file); err == nil {
		c.policy, err = policy.Parse(file, c.text)
	}
	for _, line := range errorLines(err) {
		r := remark{What: line.Error()}
		var at *policy.Error
		if errors.As(line, &at) {
			r = remark{Line: at.Line, Column: at.Column, What: at.What}
		}
		c.Errors = append(c.Errors, r)
	}
	if err != nil {
		return c
	}
	warnings, silenced := c.policy.Warnings()
	for _, w := range warnings {
		c.Warnings = append(c.Warnings, remark{w.Line, w.Column, w.Kind, w.What})
	}
	c.Good, c.Silenced, c.Rules, c.Tests = true, silenced, len(c.policy.Rules()), c.policy.Tests()
	return c
}

// policyText reads a file, or standard input for "-".
func policyText(in io.Reader, file string) ([]byte, error) {
	if file != "-" {
		return policy.Read(file)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return text, nil
}

func (c *checked) print(out, errOut io.Writer) {
	for _, r := range c.Errors {
		if r.Line == 0 {
			fmt.Fprintln(errOut, r.What)
			continue
		}
		fmt.Fprintf(errOut, "%s:%d:%d: %s\n", c.File, r.Line, r.Column, r.What)
		if strings.HasPrefix(r.What, "not YAML") {
			fmt.Fprint(errOut, pointAt(c.text, r.Line, r.Column))
		}
	}
	if !c.Good {
		return
	}
	for _, r := range c.Warnings {
		fmt.Fprintf(errOut, "%s:%d:%d: warning: %s\n", c.File, r.Line, r.Column, r.What)
	}
	silenced := ""
	if c.Silenced > 0 {
		silenced = fmt.Sprintf(", %d silenced", c.Silenced)
	}
	fmt.Fprintf(out, "%s: good: %s, %s, %s%s\n", c.File, count(c.Rules, "rule"), count(c.Tests, "test"), count(len(c.Warnings), "warning"), silenced)
	if meant := c.policy.Accounts(); len(meant) > 0 {
		fmt.Fprintf(out, "%s: here %s\n", c.File, strings.Join(meant, ", "))
	}
	if c.policy.OnlySandbox() {
		fmt.Fprintf(out, "%s: \"run --scope-signals\" would do on Linux 6.12 and newer: %s\n", c.File, scopeInstead)
	}
	if c.policy.Complains() {
		fmt.Fprintf(out, "%s: mode: complain: what it denies is let pass, and logged\n", c.File)
	}
}

// pointAt is a line of a file and a mark below it. A tab is shown, since it is what may be
// wrong; what a terminal would obey is not.
func pointAt(text []byte, line, column int) string {
	lines := bytes.Split(text, []byte("\n"))
	shown := strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return '\u2192'
		case c < ' ' || c >= 0x7f && c < 0xa0:
			return '.'
		}
		return c
	}, strings.TrimSuffix(string(lines[line-1]), "\r"))
	if runes := []rune(shown); len(runes) > width {
		shown = string(runes[:width])
	}
	if column > width {
		return "  " + shown + "...\n"
	}
	return "  " + shown + "\n  " + strings.Repeat(" ", column-1) + "^\n"
}

// scopeInstead is what the kernel's own way has and lacks.
const scopeInstead = "the kernel keeps signals inside by itself, nothing is intercepted, and nothing is audited"

// errorLines are all that is wrong with a file.
func errorLines(err error) []error {
	var list policy.Errors
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return list.Unwrap()
	}
	return []error{err}
}
