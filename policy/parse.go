package policy

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Parse checks a policy. name is what errors call the file; they are an Errors.
func Parse(name string, text []byte) (*Policy, error) {
	r := &reporter{file: name}
	root := parseYAML(r, text)
	if root == nil {
		return nil, r.err(text)
	}
	d := newDecoder(r)
	p := d.policy(root)
	p.accounts, p.silenced = d.meant, silencesIn(text)
	if err := r.err(text); err != nil {
		return nil, err
	}
	return p, nil
}

// decoder turns nodes into a policy and reports what they cannot mean.
type decoder struct {
	*reporter
	*accountNames
}

// The keys of a file's maps, which are also what errors suggest.
func topKeys() []string {
	return []string{"$schema", "version", "mode", "syscalls", "default", "errno", "rules", "tests"}
}

func ruleKeys() []string { return []string{"name", "action", "errno", "match"} }

func (d decoder) policy(root *node) *Policy {
	p := &Policy{
		name:     d.file,
		syscalls: []arch.Syscall{arch.PidfdSendSignal},
		fallback: Verdict{Allow: true, Rule: defaultRule},
		errno:    unix.EPERM,
	}
	top, ok := d.object(root, "a policy", topKeys())
	if !ok {
		return p
	}
	d.lacking(root, "a policy", top, "version")
	if n := top["version"]; n != nil && (n.kind != integer || n.text != "1") {
		d.fail(n.at, "version %s is not known: write 1", n.quoted())
	}
	if n := top["syscalls"]; n != nil {
		p.syscalls = d.syscalls(n)
	}
	if n := top["$schema"]; n != nil && n.kind != text {
		d.fail(n.at, "$schema: %s is no text: give the address of the schema", n.quoted())
	}
	if n := top["mode"]; n != nil {
		word, _ := d.word(n, "mode", []string{"enforce", "complain"})
		p.complain = word == "complain"
	}
	if n := top["errno"]; n != nil {
		p.errno = d.errno(n)
	}
	if n := top["default"]; n != nil {
		p.defaulted = true
		p.fallback.Allow, p.fallback.Log = d.action(n, "default")
	}
	if p.fallback.denies() {
		p.fallback.Errno = p.errno
	}
	if n := top["rules"]; n != nil {
		p.rules = d.rules(n, p.errno)
	}
	for i := range p.rules {
		p.needs |= p.rules[i].facts
	}
	p.index = newIndex(p.rules)
	if n := top["tests"]; n != nil {
		p.examples = exampleDecoder{d, p}.examples(n)
	}
	return p
}

// defaultRule is the name of what decides where no rule matches.
const defaultRule = "default"

func (d decoder) action(n *node, key string) (allow, log bool) {
	word, ok := d.word(n, key, []string{"allow", "deny", "log"})
	return ok && word != "deny", ok && word == "log"
}

// denies tells of a verdict that has an errno, or would have.
func (v Verdict) denies() bool { return !v.Allow || v.Log }

func (d decoder) errno(n *node) unix.Errno {
	names := errnoNames()
	word, ok := d.word(n, "errno", names)
	if !ok {
		return unix.EPERM
	}
	return unix.Errno(slices.Index(names, word) + 1)
}

// syscalls reads a list, or "all", alone or in one: all that send signals. Policies that
// say so were written before there were others.
func (d decoder) syscalls(n *node) []arch.Syscall {
	if n.kind == text && n.text == everything {
		return signalSyscalls()
	}
	known := append(syscallNames(), everything)
	var words []string
	for _, item := range d.items(n, "syscalls") {
		word, ok := d.word(item, "syscalls", known)
		if ok && slices.Contains(words, word) {
			d.fail(item.at, "syscalls: %q is there twice", word)
		}
		words = append(words, word)
	}
	if slices.Contains(words, everything) {
		for _, s := range signalSyscalls() {
			words = append(words, s.String())
		}
	}
	return slices.DeleteFunc(Syscalls(), func(s arch.Syscall) bool { return !slices.Contains(words, s.String()) })
}

const everything = "all"

// maxRules keeps what is done for each pair of rules, and for each call, within bounds.
const maxRules = 1000

func (d decoder) rules(n *node, errno unix.Errno) []rule {
	if n.kind != list {
		d.fail(n.at, "rules: %s is no list of rules", n.quoted())
		return nil
	}
	if len(n.items) > maxRules {
		d.fail(n.items[maxRules].at, "rules: a policy has at most %d: this is one more", maxRules)
		return nil
	}
	rules := make([]rule, 0, len(n.items))
	lines := map[string]int{}
	for _, item := range n.items {
		r := d.rule(item, errno)
		if r.name != "" && lines[r.name] != 0 {
			d.fail(r.at, "name: rule %q is there twice, first in line %d", r.name, lines[r.name])
		}
		lines[r.name] = r.at.line
		rules = append(rules, r)
	}
	return rules
}

func (d decoder) rule(n *node, errno unix.Errno) rule {
	r := rule{at: n.at, verdict: Verdict{Errno: errno}}
	keys, ok := d.object(n, "a rule", ruleKeys())
	if !ok {
		return r
	}
	d.lacking(n, "a rule", keys, "name", "action")
	if name := keys["name"]; name != nil {
		r.name, r.at = d.ruleName(name), name.at
		r.verdict.Rule = r.name
	}
	if action := keys["action"]; action != nil {
		r.verdict.Allow, r.verdict.Log = d.action(action, "action")
	}
	if e := keys["errno"]; e != nil {
		r.verdict.Errno = d.errno(e)
		if !r.verdict.denies() {
			d.fail(e.at, "errno: %s, but a rule that allows has no errno", e.quoted())
		}
	}
	if !r.verdict.denies() {
		r.verdict.Errno = 0
	}
	if match := keys["match"]; match != nil {
		r.checks = d.match(match)
	}
	for i := range r.checks {
		r.facts |= r.checks[i].facts()
	}
	return r
}

// ruleName keeps names to what can stand anywhere: in a log line, a label, a shell.
func (d decoder) ruleName(n *node) string {
	switch {
	case n.kind != text || !isRuleName(n.text):
		d.fail(n.at, "name: %s is no name: give 1 to 64 letters, digits, dots, dashes and underscores", n.quoted())
		return ""
	case n.text == defaultRule:
		d.fail(n.at, "name: \"default\" is what decides where no rule matches: give another")
	}
	return n.text
}

const (
	alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	maxRuleName  = 64
)

func isRuleName(name string) bool {
	return name != "" && len(name) <= maxRuleName && strings.Trim(name, alphanumeric+"._-") == "" &&
		strings.Contains(alphanumeric, name[:1])
}
