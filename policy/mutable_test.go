package policy

import (
	"strings"
	"testing"
)

// TestMutable: which keys of a rule the kernel's own call cannot be trusted with.
func TestMutable(t *testing.T) {
	for match, want := range map[string]string{
		"":                          "",
		"signals: [9]":              "",
		"scope: [group]":            "",
		"scope: [process, thread]":  "",
		"scope: [process]":          "scope (the kind of the descriptor",
		`codes: ["NULL"]`:           "",
		`codes: ["NULL", SI_QUEUE]`: "codes (the siginfo",
		"values: [1]":               "values (the siginfo",
		"caller: {uid: [0], euid: [0], gid: [0], abi: [i386]}": "",
		"caller: {exe: [/x]}":        "caller.exe (what another thread",
		"caller: {cgroup: [/x]}":     "caller.cgroup (what another thread",
		"target: {pid: [1]}":         "target.pid (the target",
		"target: {relation: [self]}": "target.relation (the target",
	} {
		text := "version: 1\nrules:\n  - {name: r, action: deny}\n"
		if match != "" {
			text = "version: 1\nrules:\n  - {name: r, action: deny, match: {" + match + "}}\n"
		}
		p, err := Parse("p.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(p.Mutable(), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) || want != "" && !strings.HasPrefix(got, `rule "r" asks for `) {
			t.Errorf("%s: %q, want %q", match, got, want)
		}
		if p.AsksTarget() != strings.Contains(match, "target") {
			t.Errorf("%s: AsksTarget is %v", match, p.AsksTarget())
		}
	}
}
