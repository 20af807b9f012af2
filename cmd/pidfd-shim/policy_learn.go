package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pidfd-shim/pidfd-shim/docs/policies"
	"github.com/pidfd-shim/pidfd-shim/internal/learn"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

func newPolicyLearn() *cobra.Command {
	var output, merge string
	cmd := &cobra.Command{
		Use:   "learn AUDIT.jsonl... [-o FILE] [--merge FILE]",
		Short: "Make a policy of what an audit recorded: that and nothing else is allowed",
		Long: `Make a policy of what was let through in recordings ("run --audit"): that is allowed, and
nothing else. Rules have the narrowest words that a person would take: the relation of the
target to its caller before uids, those before programs' files, and those before names; a
pid never. Each has a comment with the number of calls behind it, and the file has tests
made of the calls. What could not be made a rule of is said on stderr. The same recordings
give the same policy.`,
		Example: "  pidfd-shim policy init record > record.yaml\n" +
			"  pidfd-shim run --policy record.yaml --audit=a.jsonl -- COMMAND\n" +
			"  pidfd-shim policy learn a.jsonl -o rules.yaml\n" +
			"  pidfd-shim policy learn --merge rules.yaml more.jsonl -o rules.yaml",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			text, err := learnPolicy(cmd, files, merge)
			for _, file := range files {
				err = cmp.Or(err, differ(file, output))
			}
			if err == nil {
				err = writePolicyFile(cmd.OutOrStdout(), output, text)
			}
			if err != nil {
				return fmt.Errorf("policy learn: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write the policy to `FILE`; - is stdout")
	cmd.Flags().StringVar(&merge, "merge", "", "add to the policy in `FILE` what it does not allow yet, marked as new")
	completeFile(cmd, "merge", policyEndings...)
	return cmd
}

func learnPolicy(cmd *cobra.Command, files []string, merge string) (string, error) {
	lines, err := readRecordings(cmd.InOrStdin(), files)
	if err != nil {
		return "", err
	}
	text := ""
	var learned *learn.Learned
	if merge == "" {
		learned = learn.Learn(lines)
		text = learned.YAML()
	} else if learned, text, err = mergePolicy(lines, merge); err != nil {
		return "", err
	}
	for _, note := range learned.Notes {
		cmd.PrintErrf("pidfd-shim: policy learn: %s\n", note)
	}
	p, err := policy.Parse("learnt", []byte(text))
	switch {
	case err != nil && merge != "":
		return "", fmt.Errorf("%s has a form that cannot be added to: give \"rules:\" a line of its own, and each rule its lines: %w", merge, err)
	case err != nil:
		return "", fmt.Errorf("what was learnt is no policy: %w", err)
	}
	if failures := p.Test(); len(failures) > 0 && merge == "" {
		return "", fmt.Errorf("what was learnt fails its own tests, which is a mistake of ours: %w", &failures[0])
	}
	return text, nil
}

func mergePolicy(lines []learn.Line, file string) (*learn.Learned, string, error) {
	p, err := policy.Load(file)
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, "", err
	}
	return learn.Merge(p, string(text), lines)
}

func readRecordings(stdin io.Reader, files []string) (lines []learn.Line, err error) {
	for _, name := range files {
		from := io.NopCloser(stdin)
		if name != "-" {
			if from, err = os.Open(name); err != nil {
				return nil, err
			}
		}
		more, err := learn.Read(name, from)
		_ = from.Close()
		if err != nil {
			return nil, err
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

func writePolicyFile(stdout io.Writer, output, text string) error {
	if output == "-" {
		_, err := io.WriteString(stdout, text)
		return err
	}
	return replaceFile(output, []byte(text))
}

// replaceFile has readers see the old file or the new one. A link, or what is no file, is
// written to.
func replaceFile(name string, text []byte) error {
	const mode = 0o666 // and the umask
	info, err := os.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(name, text, mode)
	}
	next := name + ".new"
	if err := os.WriteFile(next, text, mode); err != nil {
		_ = os.Remove(next)
		var path *os.PathError
		if errors.As(err, &path) {
			path.Path = name
		}
		return err
	}
	if info != nil {
		_ = os.Chmod(next, info.Mode().Perm())
	}
	return os.Rename(next, name)
}

func newPolicyReplay() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "replay FILE AUDIT.jsonl...",
		Short: "Say what a policy would have made of recorded calls",
		Long: `Say what a policy would have made of each recorded call: one line for each that would be
newly denied or newly allowed, with the recording's line and the rule, and a sum. Ends with 1
if there is any. Calls that failed, or whose target nobody could look at, cannot be told.`,
		Example: "  pidfd-shim policy replay rules.yaml a.jsonl",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			changed, err := replayPolicy(cmd, args[0], args[1:], all)
			switch {
			case err != nil:
				return fmt.Errorf("policy replay: %w", err)
			case changed:
				return exitStatus(statusFailed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "print unchanged calls, too")
	return cmd
}

func replayPolicy(cmd *cobra.Command, file string, files []string, all bool) (changed bool, err error) {
	p, err := policy.Load(file)
	if err != nil {
		return false, err
	}
	lines, err := readRecordings(cmd.InOrStdin(), files)
	if err != nil {
		return false, err
	}
	counts := map[learn.Change]int{}
	for _, r := range learn.Replay(p, lines) {
		counts[r.Change]++
		if all || r.Change == learn.Denied || r.Change == learn.Allowed {
			fmt.Fprintln(cmd.OutOrStdout(), r)
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s: %d unchanged, %d newly denied, %d newly allowed, %d cannot be told\n",
		file, count(len(lines), "call"), counts[learn.Same], counts[learn.Denied], counts[learn.Allowed], counts[learn.Unsure])
	return counts[learn.Denied]+counts[learn.Allowed] > 0, nil
}

func newPolicyInit() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "init [TEMPLATE] [-o FILE]",
		Short: "Write a policy to begin with",
		Long: `Write a policy to begin with, which names its schema for editors. Without TEMPLATE the
templates are listed; "record" allows everything, and is what to record for "policy learn" with.`,
		Example: "  pidfd-shim policy init worker-pool -o rules.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, name := range templates() {
					fmt.Fprintln(cmd.OutOrStdout(), name)
				}
				return nil
			}
			text, err := template(args[0])
			if err == nil {
				err = writePolicyFile(cmd.OutOrStdout(), output, text)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write the policy to `FILE`; - is stdout")
	return cmd
}

// recording is the template that is no example.
const recording = "# Allows everything, and has each call seen by whoever records.\nversion: 1\nsyscalls: all\ndefault: allow\n"

func templates() []string {
	names := []string{"record"}
	entries, _ := policies.Files.ReadDir(".")
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

func template(name string) (string, error) {
	text := recording
	if name != "record" {
		file, err := policies.Files.ReadFile(name + ".yaml")
		if err != nil {
			return "", usageError{errors.New("policy init: " + name + ": no such template, there are " + words(templates()))}
		}
		text = string(file)
	}
	if strings.Contains(text, "$schema:") {
		return text, nil
	}
	return "$schema: " + learn.Schema + "\n" + text, nil
}
