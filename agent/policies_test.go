package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/session"
)

// byText makes sessions that can be told apart by their file's text. "bad" is refused.
type byText struct{ texts map[*session.Session]string }

func (m *byText) load(path string) (*session.Session, error) {
	s := &session.Session{}
	if path == "" {
		m.texts[s] = "open"
		return s, nil
	}
	text, err := os.ReadFile(path)
	if err == nil && strings.Contains(string(text), "bad") {
		err = errors.New(path + ": bad policy")
	}
	m.texts[s] = string(text)
	return s, err
}

func (m *byText) policies(dir, fallback string, unknownDefault bool) *Policies {
	m.texts = map[*session.Session]string{}
	return &Policies{Dir: dir, Default: fallback, UnknownDefault: unknownDefault, Make: m.load, Log: slog.New(slog.DiscardHandler)}
}

// picked is what serves by a metadata: a file's text, "open", or "denied".
func (m *byText) picked(p *Policies, metadata string) string {
	wishes, err := readMetadata(metadata)
	if err != nil {
		return "denied"
	}
	_, s, _ := p.pick(wishes.policy)
	if s == p.denied {
		return "denied"
	}
	return m.texts[s]
}

func writePolicies(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPoliciesByName(t *testing.T) {
	dir := t.TempDir()
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "base1", "README": "x", ".hidden.yaml": "bad"})
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
		var m byText
		p := m.policies(dir, row.fallback, row.unknownDefault)
		if err := p.Load(); err != nil {
			t.Fatal(err)
		}
		if got := m.picked(p, row.metadata); got != row.want {
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
		"bad file":        {map[string]string{"web.yaml": "bad"}, "", "bad policy"},
		"unknown default": {map[string]string{"web.yaml": "x"}, "wbe", "which has web"},
		"bad name":        {map[string]string{"a b.yaml": "x"}, "", "no name of a policy"},
		"no file":         {nil, "/nonexistent/x.yaml", "no such file"},
	} {
		dir := t.TempDir()
		writePolicies(t, dir, row.files)
		var m byText
		if err := m.policies(dir, row.fallback, false).Load(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

func TestReloadKeepsWhatIsBad(t *testing.T) {
	dir := t.TempDir()
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "base1", "old.yaml": "old1"})
	var m byText
	p := m.policies(dir, "base", false)
	if err := p.Load(); err != nil {
		t.Fatal(err)
	}
	kept := p.named["web"]
	writePolicies(t, dir, map[string]string{"web.yaml": "web1", "base.yaml": "bad", "new.yaml": "new1"})
	if err := os.Remove(filepath.Join(dir, "old.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || !strings.Contains(err.Error(), "bad policy") {
		t.Errorf("reload of a bad file: %v", err)
	}
	for metadata, want := range map[string]string{"": "base1", "policy=web": "web1", "policy=new": "new1", "policy=old": "denied"} {
		if got := m.picked(p, metadata); got != want {
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
	if got := m.picked(p, ""); got != "base2" {
		t.Errorf("the default is %s, want base2", got)
	}
	if err := os.Remove(filepath.Join(dir, "base.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil || m.picked(p, "") != "base2" {
		t.Errorf("the default's file is gone: %v, and %s serves", err, m.picked(p, ""))
	}
}
