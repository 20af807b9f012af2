package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// object is a part of a runtime's own profile, whose keys we do not all know: docker's and
// podman's have more than the runtime-spec's.
type object = map[string]any

// Merge puts a profile of ours into a runtime's default one: our calls are taken out of its
// entries, and ours come in their place; what else it denies stays denied. notes say what
// somebody should look at.
func Merge(base []byte, own *specs.LinuxSeccomp) (merged []byte, notes []string, err error) {
	var whole object
	decoder := json.NewDecoder(bytes.NewReader(base))
	decoder.UseNumber() // arguments have 64 bits
	if err := decoder.Decode(&whole); err != nil {
		return nil, nil, err
	}
	entries, ok := whole["syscalls"].([]any)
	if !ok || whole["defaultAction"] == nil {
		return nil, nil, fmt.Errorf("it has no \"defaultAction\" and \"syscalls\", which a seccomp profile has")
	}
	m := merger{whole: whole, open: whole["defaultAction"] == string(specs.ActAllow), allowed: map[string]bool{}}
	for _, e := range own.Syscalls {
		m.ours = append(m.ours, e.Names...)
	}
	var kept []any
	for _, e := range entries {
		if e, ok := e.(object); ok && !m.take(e) {
			continue
		}
		kept = append(kept, e)
	}
	var added []any
	for _, e := range m.add(own.Syscalls) {
		added = append(added, e)
	}
	whole["syscalls"] = append(added, kept...)
	whole["listenerPath"], whole["listenerMetadata"] = own.ListenerPath, own.ListenerMetadata
	m.addFlags(own.Flags)
	m.addArchitectures(own.Architectures)
	merged, err = json.Marshal(whole)
	return merged, m.notes, err
}

type merger struct {
	whole   object
	ours    []string        // names
	open    bool            // what no entry names is allowed
	allowed map[string]bool // of ours: by the base, whatever the arguments
	notes   []string
}

// take takes our names out of an entry, and tells whether anything is left of it.
func (m *merger) take(e object) bool {
	names, _ := e["names"].([]any)
	if name, ok := e["name"].(string); ok && names == nil { // as docker once had it
		names = []any{name}
	}
	args, _ := e["args"].([]any)
	always := len(args) == 0 && len(asMap(e["includes"])) == 0 && len(asMap(e["excludes"])) == 0
	rest := slices.DeleteFunc(slices.Clone(names), func(name any) bool {
		text, _ := name.(string)
		if !slices.Contains(m.ours, text) {
			return false
		}
		if e["action"] == string(specs.ActAllow) && always {
			m.allowed[text] = true
		} else {
			m.notes = append(m.notes, fmt.Sprintf("%s: the base's entry with action %v and conditions of its own is replaced", text, e["action"]))
		}
		return true
	})
	if len(rest) == len(names) {
		return true
	}
	delete(e, "name")
	e["names"] = rest
	return len(rest) > 0
}

func asMap(value any) object {
	m, _ := value.(object)
	return m
}

// add is our entries as they fit the base: who may not use seccomp(2) or Landlock at all
// there needs nothing of ours, and where what no entry names is denied, seccomp(2) without a
// listener has to be allowed.
func (m *merger) add(own []specs.LinuxSyscall) (added []specs.LinuxSyscall) {
	closed, _, others := noListenerBoxes()
	for _, e := range own {
		e.Names = slices.DeleteFunc(slices.Clone(e.Names), func(name string) bool {
			switch {
			case m.open || m.allowed[name]:
			case name == closed.Syscall.String(), name == "landlock_restrict_self":
				return true
			default:
				m.notes = append(m.notes, name+": the base does not allow it; the agent decides now")
				m.allowed[name] = true
			}
			return false
		})
		if len(e.Names) > 0 {
			added = append(added, e)
		}
	}
	if m.open || !m.allowed[closed.Syscall.String()] {
		return added
	}
	for _, b := range others {
		e := entryOf(closed.Syscall, b, RegisterRule{})
		e.Action = specs.ActAllow
		added = append(added, e)
	}
	return added
}

func (m *merger) addFlags(flags []specs.LinuxSeccompFlag) {
	list, _ := m.whole["flags"].([]any)
	for _, f := range flags {
		if !slices.Contains(list, any(string(f))) {
			list = append(list, string(f))
		}
	}
	if len(list) > 0 {
		m.whole["flags"] = list
	}
}

// addArchitectures: calls of one that a profile does not name kill their caller.
func (m *merger) addArchitectures(architectures []specs.Arch) {
	if _, mapped := m.whole["archMap"]; mapped { // the engine makes the list, of the node's kind
		return
	}
	list, _ := m.whole["architectures"].([]any)
	for _, a := range architectures {
		if !slices.Contains(list, any(string(a))) {
			list = append(list, string(a))
		}
	}
	m.whole["architectures"] = list
}
