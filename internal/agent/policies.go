package agent

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/session"
)

// Policies are the operator's policies by name: the files NAME.yaml of a directory. A
// container's metadata chooses among them and can say nothing else.
type Policies struct {
	Dir     string // "": there are none to choose from
	Default string // a name, or a path; "": everything is allowed

	// UnknownDefault serves a container that asks for a name that does not exist by the
	// default; else each of its calls is denied.
	UnknownDefault bool

	// Base serves without a policy; the others are made from it.
	Base *session.Session
	Log  *slog.Logger

	mu     sync.RWMutex // guards below
	named  map[string]*loaded
	chosen *loaded
	denied *session.Session
}

// loaded is one policy as it was last read without error.
type loaded struct {
	name, path string
	text       []byte
	template   *session.Session
}

// maxPolicies bounds the directory.
const maxPolicies = 1024

// Load reads all policies for the first time: each must be good.
func (p *Policies) Load() error {
	p.denied = p.Base.Denying()
	p.named = map[string]*loaded{}
	p.chosen = &loaded{template: p.Base}
	if p.Dir != "" {
		paths, err := p.files()
		if err != nil {
			return err
		}
		for _, path := range paths {
			l, err := p.read(path)
			if err != nil {
				return err
			}
			p.named[l.name] = l
		}
	}
	return p.loadDefault()
}

func (p *Policies) loadDefault() error {
	switch {
	case p.Default == "":
		return nil
	case strings.ContainsRune(p.Default, '/'):
		l, err := p.read(p.Default)
		if err == nil {
			p.chosen = l
		}
		return err
	}
	l := p.named[p.Default]
	if l == nil {
		return fmt.Errorf("--default-policy %s: no such policy in --policy-dir %q, which has %s", p.Default, p.Dir, p.names())
	}
	p.chosen = l
	return nil
}

func (p *Policies) names() string {
	if len(p.named) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(p.named)), ", ")
}

// files lists the directory's policies. Other files are left alone, but a policy's file
// with a name that nobody can ask for is a mistake.
func (p *Policies) files() ([]string, error) {
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("--policy-dir: %w", err)
	}
	var paths []string
	for _, e := range entries {
		name, isPolicy := strings.CutSuffix(e.Name(), extension)
		if !isPolicy || strings.HasPrefix(name, ".") {
			continue
		}
		if !isName(name) {
			return nil, fmt.Errorf("--policy-dir: %q is no name of a policy", e.Name())
		}
		paths = append(paths, filepath.Join(p.Dir, e.Name()))
	}
	if len(paths) > maxPolicies {
		return nil, fmt.Errorf("--policy-dir: %d policies, at most %d are read", len(paths), maxPolicies)
	}
	return paths, nil
}

const extension = ".yaml"

func (p *Policies) read(path string) (*loaded, error) {
	// Before the text: a change in between is then seen at the next look.
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	template, err := p.Base.Template(path)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(path), extension)
	return &loaded{name: name, path: path, text: text, template: template}, nil
}

// errUnknown is a name that no policy has.
var errUnknown = errors.New("no such policy")

// pick finds what serves a container that asks for a policy by name, "" for none. With
// an error it is what denies every call.
func (p *Policies) pick(name string) (string, *session.Session, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	l := p.named[name]
	switch {
	case name == "":
		l = p.chosen
	case l == nil && p.UnknownDefault:
		p.Log.Warn("a container asks for a policy that does not exist: it gets the default", "policy", name)
		l = p.chosen
	case l == nil:
		return name, p.denied, fmt.Errorf("%w: %s", errUnknown, name)
	}
	return l.name, l.template, nil
}

// Reload reads again what has changed. A file that is bad, or gone while containers
// are served by it, leaves what was: it says so, and the rest is taken over.
func (p *Policies) Reload() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed []error
	if p.Dir != "" {
		failed = append(failed, p.reloadDir())
	}
	if strings.ContainsRune(p.Default, '/') {
		l, err := p.again(p.chosen)
		p.chosen = l
		failed = append(failed, err)
	} else if l := p.named[p.Default]; l != nil {
		p.chosen = l
	}
	return errors.Join(failed...)
}

func (p *Policies) reloadDir() error {
	paths, err := p.files()
	if err != nil {
		return err
	}
	var failed []error
	named := map[string]*loaded{}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), extension)
		old := p.named[name]
		if old == nil {
			old = &loaded{name: name, path: path}
		}
		l, err := p.again(old)
		failed = append(failed, err)
		if l != nil && l.template != nil {
			named[name] = l
		}
	}
	if l := p.named[p.Default]; l != nil && named[p.Default] == nil {
		named[p.Default] = l
		failed = append(failed, fmt.Errorf("the default policy's file %s is gone: it stays in force", l.path))
	}
	p.named = named
	return errors.Join(failed...)
}

// again is a policy as it stands now, or as it was with the reason.
func (p *Policies) again(old *loaded) (*loaded, error) {
	text, err := os.ReadFile(old.path)
	if err == nil && old.template != nil && bytes.Equal(text, old.text) {
		return old, nil
	}
	if err != nil {
		return old, fmt.Errorf("read policy: %w", err)
	}
	if old.template == nil {
		return p.read(old.path)
	}
	if err := old.template.Renew(); err != nil {
		return old, err
	}
	p.Log.Warn("policy reloaded", "policy", old.name, "file", old.path)
	return &loaded{name: old.name, path: old.path, text: text, template: old.template}, nil
}
