package agent

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

func policies(dir, fallback string, unknownDefault bool) *Policies {
	base := &supervisor.Base{Features: kernel.Features{SendSignal: true, Notify: true, Continue: true}}
	return &Policies{Dir: dir, Default: fallback, UnknownDefault: unknownDefault, Base: base, Log: slog.New(slog.DiscardHandler)}
}

// picked is what serves by a metadata: the last word of a file's text, "open", or "denied".
func picked(p *Policies, metadata string) string {
	said, err := readMetadata(metadata)
	if err != nil {
		return "denied"
	}
	s, _ := p.pick(said.policy)
	return serves(p, s)
}

func serves(p *Policies, s *slot) string {
	judge := s.template.Policy()
	for _, f := range p.files {
		if f.policy == judge && judge != nil {
			words := strings.Fields(f.policy.Rules()[0])
			return words[len(words)-1]
		}
	}
	if judge == nil {
		return "open"
	}
	return "denied"
}

func writePolicies(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		rule, more, _ := strings.Cut(text, "\n")
		text = "version: 1\nsyscalls: [pidfd_send_signal]\ndefault: allow\nrules:\n  - {name: " + rule + ", action: deny, match: {signals: [1]}}\n" + more
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPoliciesByName(t *testing.T) {
	dir := t.TempDir()
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "base1", "README": "x", ".hidden.yaml": "x\nbad: yes"})
	for _, row := range []struct {
		fallback       string
		unknownDefault bool
		metadata, want string
	}{
		{"", false, "", "open"},
		{"", false, "policy=web", "web1"},
		{"", false, "policy=none", "denied"},
		{"", true, "policy=none", "open"},
		{"base", false, "", "base1"},
		{"base", false, "policy=web", "web1"},
		{"base", false, "policy=none", "denied"},
		{"base", true, "policy=none", "base1"},
		{"base", true, "policy=../web", "denied"},
		{"base", true, "policy=web\npolicy=base", "denied"},
		{filepath.Join(dir, "base.yaml"), false, "", "base1"},
	} {
		p := policies(dir, row.fallback, row.unknownDefault)
		if err := p.Load(); err != nil {
			t.Fatal(err)
		}
		if got := picked(p, row.metadata); got != row.want {
			t.Errorf("default %q, unknown-default %v, metadata %q: %s, want %s", row.fallback, row.unknownDefault, row.metadata, got, row.want)
		}
	}
}

// TestBadPolicyIsItsContainersAlone: whatever is wrong with one, the others are served.
func TestBadPolicyIsItsContainersAlone(t *testing.T) {
	for name, row := range map[string]struct {
		files          map[string]string
		fallback       string
		unknownDefault bool
		served         map[string]string
		states         map[string]State
	}{
		"bad file": {
			files: map[string]string{"web.yaml": "x\nbad: yes", "db.yaml": "db1"}, served: map[string]string{"": "open", "web": "denied", "db": "db1"},
			states: map[string]State{"web": Bad, "db": InForce},
		},
		"bad file, default asked for": {
			files: map[string]string{"web.yaml": "x\nbad: yes", "db.yaml": "db1"}, fallback: "db", unknownDefault: true,
			served: map[string]string{"": "db1", "web": "db1", "none": "db1"}, states: map[string]State{"web": Bad, "none": Missing},
		},
		"unknown default": {
			files: map[string]string{"web.yaml": "web1"}, fallback: "wbe", served: map[string]string{"": "denied", "web": "web1"},
			states: map[string]State{"": Missing},
		},
		"bad default, default asked for": {
			files: map[string]string{"base.yaml": "x\nbad: yes"}, fallback: "base", unknownDefault: true,
			served: map[string]string{"": "denied", "none": "denied"}, states: map[string]State{"": Bad},
		},
		"bad name": {files: map[string]string{"a b.yaml": "x", "web.yaml": "web1"}, served: map[string]string{"web": "web1"}},
		"no file":  {fallback: "/nonexistent/x.yaml", served: map[string]string{"": "denied"}, states: map[string]State{"": Bad}},
	} {
		dir := t.TempDir()
		writePolicies(t, dir, row.files)
		p := policies(dir, row.fallback, row.unknownDefault)
		if err := p.Load(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for asked, want := range row.served {
			s, _ := p.pick(asked)
			if got := serves(p, s); got != want {
				t.Errorf("%s: who asks for %q is served by %s, want %s", name, asked, got, want)
			}
		}
		for asked, want := range row.states {
			if s, _ := p.pick(asked); p.stateOf(s) != want {
				t.Errorf("%s: %q is %q, want %q", name, asked, p.stateOf(s), want)
			}
		}
	}
}

// TestNamesAreBounded: containers may make up names, which cost something each.
func TestNamesAreBounded(t *testing.T) {
	p := policies(t.TempDir(), "", false)
	if err := p.Load(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxPolicies {
		if s, err := p.pick(fmt.Sprintf("made-up-%d", i)); err == nil || serves(p, s) != "denied" {
			t.Fatalf("%v, %s", err, serves(p, s))
		}
	}
	if n := len(p.slots); n > 2*maxPolicies {
		t.Errorf("%d slots", n)
	}
}

// TestReloadReachesRunningContainers: what becomes of a file is taken up by those who asked
// for it before.
func TestReloadReachesRunningContainers(t *testing.T) {
	dir := t.TempDir()
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "base1", "old.yaml": "old1", "mended.yaml": "x\nbad: yes"})
	p := policies(dir, "base", false)
	if err := p.Load(); err != nil {
		t.Fatal(err)
	}
	running := map[string]*slot{}
	for _, name := range []string{"", "web", "old", "mended", "new"} {
		running[name], _ = p.pick(name)
	}
	want := func(step string, served map[string]string, states map[string]State) {
		t.Helper()
		for name, by := range served {
			if got := serves(p, running[name]); got != by || p.stateOf(running[name]) != states[name] {
				t.Errorf("%s: %q is served by %s (%s), want %s (%s)", step, name, got, p.stateOf(running[name]), by, states[name])
			}
		}
	}
	want("at first", map[string]string{"": "base1", "web": "web1", "old": "old1", "mended": "denied", "new": "denied"},
		map[string]State{"mended": Bad, "new": Missing})

	kept := p.files["web"].policy
	writePolicies(t, dir, map[string]string{"base.yaml": "x\nbad: yes", "new.yaml": "new1", "mended.yaml": "mended2"})
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "base.yaml:6:1") {
		t.Errorf("reload of a bad file: %v", err)
	}
	want("after a reload", map[string]string{"": "base1", "web": "web1", "old": "denied", "mended": "mended2", "new": "new1"},
		map[string]State{"": Stale, "old": Missing})
	if p.files["web"].policy != kept {
		t.Error("a file that did not change was read again")
	}
	if p.Reloaded().Bad != 1 {
		t.Errorf("%d bad files are counted", p.Reloaded().Bad)
	}

	writePolicies(t, dir, map[string]string{"base.yaml": "base2", "old.yaml": "old2"})
	if err := p.Reload(); err != nil {
		t.Error(err)
	}
	want("mended", map[string]string{"": "base2", "old": "old2"}, nil)
	if err := os.Remove(filepath.Join(dir, "base.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "--default-policy base") {
		t.Errorf("the default's file is gone: %v", err)
	}
	want("without its file", map[string]string{"": "denied"}, map[string]State{"": Missing})
}
