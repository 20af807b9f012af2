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
	"time"

	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Policies are the operator's policies by name: the files NAME.yaml of a directory. A
// container's metadata chooses among them and can say nothing else.
//
// What becomes of a file is taken up by the containers that asked for it, running ones too,
// and by no other: one that cannot be read leaves in force what it said before, and one
// that was never good, or is not there, gives them the configured answer.
type Policies struct {
	Dir     string // "": there are none to choose from
	Default string // a name, or a path; "": everything is allowed

	// UnknownDefault serves a container whose policy cannot be had by the default; else each
	// of its calls is denied.
	UnknownDefault bool

	// Complain lets pass what policies deny, and has it noted: also where the policy is the one
	// for who has none.
	Complain bool

	// Base serves without a policy; the others are made from it.
	Base *supervisor.Base
	Log  *slog.Logger

	mu     sync.RWMutex // guards below
	files  map[string]*file
	slots  map[string]*slot
	denied *slot // of containers that may not choose
	last   Reloaded
}

// file is a policy's file as it was last read.
type file struct {
	path   string
	text   []byte
	policy *policy.Policy // what it said when it was last good; nil: never
	err    error          // why it cannot be read as it is now
}

// slot is what containers that asked for one name are served by, for as long as the agent
// lives: what is put in force there holds for running containers.
type slot struct {
	name     string
	template *supervisor.Base
	state    State
}

const (
	maxPolicies = 1024 // bounds the directory, and the names that containers may make up
	extension   = ".yaml"
)

// denyAll is the policy of containers whose own cannot be had.
const denyAll = "version: 1\nsyscalls: all\ndefault: deny\n"

// Load reads all policies for the first time. What is wrong with one is logged and is
// its containers' alone; the error is about the directory itself.
func (p *Policies) Load() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files, p.slots = map[string]*file{}, map[string]*slot{}
	nobody, err := p.parse("deny-all", []byte(denyAll))
	if err != nil {
		return err
	}
	template, err := p.Base.Judging(nobody)
	if err != nil {
		return err
	}
	p.denied = &slot{"", template, Missing}
	if err := p.look(); err != nil {
		return err
	}
	for _, err := range p.faults() {
		p.Log.Error("a policy cannot be read: containers that ask for it are "+p.otherwise(), "error", err)
	}
	return nil
}

// parse reads a policy as it is to be put in force.
func (p *Policies) parse(name string, text []byte) (*policy.Policy, error) {
	judge, err := policy.Parse(name, text)
	if err == nil && p.Complain {
		judge = judge.Complaining()
	}
	return judge, err
}

// otherwise is the configured answer, in words.
func (p *Policies) otherwise() string {
	if p.UnknownDefault {
		return "served by the default"
	}
	return p.denial()
}

// denial is what deny-all does, in words.
func (p *Policies) denial() string {
	if p.Complain {
		return "allowed every call, which is logged as denied"
	}
	return "denied every call"
}

// Reload reads again what has changed, and puts it in force.
func (p *Policies) Reload() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.look(); err != nil {
		return err
	}
	return errors.Join(p.faults()...)
}

// faults are what is wrong with files, and with a default that does not exist.
func (p *Policies) faults() []error {
	var all []error
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if err := p.files[name].err; err != nil {
			all = append(all, err)
		}
	}
	if p.Default != "" && p.files[p.Default] == nil {
		all = append(all, fmt.Errorf("--default-policy %s: no such policy in --policy-dir %q, which has %s: containers that ask for none are %s",
			p.Default, p.Dir, p.names(), p.denial()))
	}
	return all
}

func (p *Policies) names() string {
	if len(p.files) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(p.files)), ", ")
}

// look reads the files that have changed and puts in force what they say.
func (p *Policies) look() error {
	paths, err := p.paths()
	if err != nil {
		p.last = Reloaded{time.Now(), max(p.last.Bad, 1)}
		return err
	}
	for name := range p.files {
		if paths[name] == "" {
			p.Log.Warn("a policy's file is gone: containers that ask for it are "+p.otherwise(), "policy", name)
			delete(p.files, name)
		}
	}
	bad, changed := 0, []string(nil)
	for name, path := range paths {
		if p.files[name] == nil {
			p.files[name] = &file{path: path}
		}
		if p.read(p.files[name]) {
			changed = append(changed, name)
		}
		if p.files[name].err != nil {
			bad++
		}
	}
	p.last = Reloaded{time.Now(), bad}
	for _, s := range p.slots {
		p.fill(s)
	}
	for _, name := range changed {
		p.Log.Warn("policy reloaded", "policy", name, "file", p.files[name].path)
	}
	return nil
}

// paths are the policies' files by name, the default's by its path where it is one. Other
// files are left alone; a policy's file with a name that nobody can ask for is said.
func (p *Policies) paths() (map[string]string, error) {
	paths := map[string]string{}
	if strings.ContainsRune(p.Default, '/') {
		paths[p.Default] = p.Default
	}
	if p.Dir == "" {
		return paths, nil
	}
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("--policy-dir: %w", err)
	}
	for _, e := range entries {
		name, isPolicy := strings.CutSuffix(e.Name(), extension)
		switch {
		case !isPolicy || strings.HasPrefix(name, "."):
		case !isName(name):
			p.Log.Error("a file is left out: that is no name of a policy", "file", filepath.Join(p.Dir, e.Name()))
		default:
			paths[name] = filepath.Join(p.Dir, e.Name())
		}
	}
	if len(paths) > maxPolicies {
		return nil, fmt.Errorf("--policy-dir: %d policies, at most %d are read", len(paths), maxPolicies)
	}
	return paths, nil
}

// read reads a file again, and reports whether it says something new after it said
// something else, or nothing good.
func (p *Policies) read(f *file) bool {
	text, err := policy.Read(f.path)
	if err != nil {
		f.text, f.err = nil, err
		return false
	}
	if f.text != nil && bytes.Equal(text, f.text) {
		return false
	}
	again := f.text != nil || f.err != nil
	f.text = text
	judge, err := p.parse(f.path, text)
	if err == nil {
		_, err = p.Base.Judging(judge) // a mode may be unable to hold it
	}
	if f.err = err; err != nil {
		return false
	}
	f.policy = judge
	return again
}

// errUnknown is a name that no policy has.
var errUnknown = errors.New("no such policy")

// pick finds what serves a container that asks for a policy by name, "" for none. The
// error says why it is not that policy.
func (p *Policies) pick(name string) (*slot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.slots[name]
	if s == nil {
		if len(p.slots) >= 2*maxPolicies {
			return p.denied, fmt.Errorf("%w: %s", errUnknown, name)
		}
		template, err := p.Base.Judging(p.answer(name))
		if err != nil { // cannot be: it was tried when the file was read
			return p.denied, err
		}
		s = &slot{name: name, template: template}
		p.slots[name] = s
	}
	p.fill(s)
	switch s.state {
	case Bad:
		return s, p.files[p.fileOf(name)].err
	case Missing:
		return s, fmt.Errorf("%w: %s", errUnknown, name)
	}
	return s, nil
}

// fileOf is the name of the file of those who ask for name.
func (p *Policies) fileOf(name string) string {
	if name == "" {
		return p.Default
	}
	return name
}

// fill puts in force what a slot's file says now.
func (p *Policies) fill(s *slot) {
	s.template.Judge(p.answer(s.name))
	f := p.files[p.fileOf(s.name)]
	switch {
	case s.name == "" && p.Default == "":
		s.state = InForce
	case f == nil:
		s.state = Missing
	case f.policy == nil:
		s.state = Bad
	case f.err != nil:
		s.state = Stale
	default:
		s.state = InForce
	}
}

// answer is the policy for those who ask for name; nil allows everything.
func (p *Policies) answer(name string) *policy.Policy {
	f := p.files[p.fileOf(name)]
	switch {
	case name == "" && p.Default == "":
		return nil
	case f != nil && f.policy != nil:
		return f.policy
	case name != "" && p.UnknownDefault:
		return p.answer("")
	}
	return p.denied.template.Policy()
}

// stateOf tells how a slot is served.
func (p *Policies) stateOf(s *slot) State {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return s.state
}

// nameOf is a slot's policy in the operator's words, "" where everything is allowed.
func (p *Policies) nameOf(s *slot) string {
	name := p.fileOf(s.name)
	if s == p.denied || name == "" {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(name), extension)
}

// Reloaded tells of the last look at the files.
func (p *Policies) Reloaded() Reloaded {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.last
}
