package agent

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/session"
)

func policies(dir, fallback string, unknownDefault bool) *Policies {
	base := &session.Session{Features: kernel.Features{SendSignal: true, Notify: true, Continue: true}}
	return &Policies{Dir: dir, Default: fallback, UnknownDefault: unknownDefault, Base: base, Log: slog.New(slog.DiscardHandler)}
}

// picked is what serves by a metadata: the last word of a file's text, "open", or "denied".
func picked(p *Policies, metadata string) string {
	wishes, err := readMetadata(metadata)
	if err != nil {
		return "denied"
	}
	_, s, _ := p.pick(wishes.policy)
	for _, l := range append(slices.Collect(maps.Values(p.named)), p.chosen) {
		if l.template == s && l.text != nil {
			words := strings.Fields(string(l.text))
			return words[len(words)-1]
		}
	}
	if s == p.denied {
		return "denied"
	}
	return "open"
}

func writePolicies(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		text = "version: 1\nsyscalls: [pidfd_send_signal]\ndefault: allow # " + text
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

func TestPoliciesRefuseABadStart(t *testing.T) {
	for name, row := range map[string]struct {
		files    map[string]string
		fallback string
		want     string
	}{
		"bad file":        {map[string]string{"web.yaml": "x\nbad: yes"}, "", "bad"},
		"unknown default": {map[string]string{"web.yaml": "x"}, "wbe", "which has web"},
		"bad name":        {map[string]string{"a b.yaml": "x"}, "", "no name of a policy"},
		"no file":         {nil, "/nonexistent/x.yaml", "no such file"},
	} {
		dir := t.TempDir()
		writePolicies(t, dir, row.files)
		if err := policies(dir, row.fallback, false).Load(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

func TestReloadKeepsWhatIsBad(t *testing.T) {
	dir := t.TempDir()
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "base1", "old.yaml": "old1"})
	p := policies(dir, "base", false)
	if err := p.Load(); err != nil {
		t.Fatal(err)
	}
	kept := p.named["web"]
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "x\nbad: yes", "new.yaml": "new1"})
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("reload of a bad file: %v", err)
	}
	for metadata, want := range map[string]string{"": "base1", "policy=web": "web1", "policy=new": "new1", "policy=old": "denied"} {
		if got := picked(p, metadata); got != want {
			t.Errorf("after a reload %q gives %s, want %s", metadata, got, want)
		}
	}
	if p.named["web"] != kept {
		t.Error("a file that did not change was read again")
	}
	writePolicies(t, dir, map[string]string{"base.yaml": "base2"})
	if err := p.Reload(); err != nil {
		t.Error(err)
	}
	if got := picked(p, ""); got != "base2" {
		t.Errorf("the default is %s, want base2", got)
	}
	if err := os.Remove(filepath.Join(dir, "base.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || picked(p, "") != "base2" {
		t.Errorf("the default's file is gone: %v, and %s serves", err, picked(p, ""))
	}
}
