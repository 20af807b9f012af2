package learn

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

func recordings(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/policies/learnt/*.jsonl")
	if err != nil || len(files) != 5 {
		t.Fatalf("recordings: %v, %v", files, err)
	}
	return files
}

func read(t *testing.T, file string) []Line {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := Read(filepath.Base(file), f)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func parsed(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("learnt.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// TestRoundTrip learns from recordings of real programs: what they did is allowed, whatever
// order it comes in, and nothing else.
func TestRoundTrip(t *testing.T) {
	for _, file := range recordings(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".jsonl"), func(t *testing.T) {
			lines := read(t, file)
			text := Learn(lines).YAML()
			stored, err := os.ReadFile(strings.TrimSuffix(file, "jsonl") + "yaml")
			if err != nil || text != string(stored) {
				t.Errorf("%v: the policy beside the recording differs from\n%s", err, text)
			}
			slices.Reverse(lines)
			p := parsed(t, Learn(lines).YAML())
			if failures := p.Test(); len(failures) > 0 {
				t.Errorf("its own tests: %v", failures)
			}
			for _, r := range Replay(p, lines) {
				if r.Change == Denied || r.Change == Allowed {
					t.Error(r)
				}
			}
			denyMutants(t, p, lines)
			for _, word := range []string{" pid:", "{pid:"} {
				if strings.Contains(text, word) {
					t.Errorf("the policy has %q", word)
				}
			}
		})
	}
}

// denyMutants changes one thing of each call that was let through.
func denyMutants(t *testing.T, p *policy.Policy, lines []Line) {
	t.Helper()
	mutants := 0
	for i := range lines {
		for name, change := range map[string]func(*Line){
			"another signal": func(l *Line) { l.setSignal(t, 4) },
			"another target": func(l *Line) {
				stranger, other := *l.Target, "stranger"
				stranger.Relation, stranger.Exe, stranger.Comm = []string{"same-pidns"}, &other, &other
				l.Target = &stranger
			},
			"another value": func(l *Line) {
				l.Syscall, l.Args.Info, l.Args.Pidfd = "pidfd_send_signal", 0x1000, 3
				q, _ := lines[i].query()
				l.Args.Sig = q.Signal
				value := json.Number("4711")
				l.Info = &struct {
					Code  int32
					Value *json.Number
				}{-1, &value}
			},
		} {
			m := lines[i]
			looked := m.Target != nil && m.Target.Comm != nil
			if m.Verdict != "allow" || !looked && !(m.everybody() && name == "another signal") {
				continue
			}
			change(&m)
			mutants++
			if r := replay(p, &m); r.Change != Denied {
				t.Errorf("%s: %v", name, r)
			}
		}
	}
	if mutants == 0 {
		t.Error("there was no mutant")
	}
}

func (l *Line) setSignal(t *testing.T, sig int32) {
	t.Helper()
	number := json.Number(string('0' + rune(sig)))
	switch l.Syscall {
	case "tgkill", "rt_tgsigqueueinfo":
		l.Args.Arg2 = number
	default:
		l.Args.Arg1, l.Args.Sig = number, sig
	}
}

// TestMerge adds what a policy lacks, keeps its text, and does not undo a denial.
func TestMerge(t *testing.T) {
	const before = `version: 1
syscalls: all
default: deny # of all else
rules:
- name: own-children
  action: allow
  match: {signals: [SIGTERM], target: {relation: [child]}}
- name: no-kill
  action: deny
  match: {signals: [SIGKILL]}

# the tests
tests:
- call: {signal: SIGTERM}
  target: {relation: [child]}
  expect: allow
`
	lines := read(t, "../../docs/policies/learnt/workers.jsonl")
	l, text, err := Merge(parsed(t, before), before, lines)
	if err != nil || len(l.rules) == 0 {
		t.Fatalf("%v, %d rules", err, len(l.rules))
	}
	p := parsed(t, text)
	if kept := strings.ReplaceAll(text, l.ruleLines("", "new: "), ""); kept != before {
		t.Errorf("the rest of the file is now\n%s", kept)
	}
	if !strings.Contains(text, "- name: own-children-2 # new: ") || !slices.Contains(p.Rules(), "no-kill") {
		t.Errorf("merged:\n%s", text)
	}
	if !slices.ContainsFunc(l.Notes, func(n string) bool { return strings.Contains(n, `denied by rule "no-kill"`) }) {
		t.Errorf("notes %v", l.Notes)
	}
	if failures := p.Test(); len(failures) > 0 {
		t.Error(failures)
	}
	for _, r := range Replay(p, lines) {
		if r.Change == Denied && r.Rule != "no-kill" {
			t.Error(r)
		}
	}
}

// TestValues keeps to the values that were sent, and to programs where nobody is related.
func TestValues(t *testing.T) {
	const line = `{"syscall":"rt_sigqueueinfo","abi":"amd64","caller":{"pid":7,"uid":0,"euid":0,"gid":0,"comm":"a*b","exe":"/bin/a*b","cgroup":"/"},` +
		`"args":{"arg0":9,"arg1":36,"arg2":4096},"target":{"pid":9,"uid":5,"comm":"d","exe":"/bin/d","cgroup":"/x","relation":["same-pidns"]},` +
		`"signal":"SIGRTMIN+2","info":{"signo":36,"errno":0,"code":-1,"pid":7,"uid":0,"value":VALUE},"verdict":"allow"}` + "\n"
	lines, err := Read("a", strings.NewReader(strings.ReplaceAll(line, "VALUE", "7")+strings.ReplaceAll(line, "VALUE", "-9")))
	if err != nil {
		t.Fatal(err)
	}
	text := Learn(lines).YAML()
	for _, want := range []string{
		"values: [-9, 7]", "codes: [SI_QUEUE]", "signals: [SIGRTMIN+2]", "name: a-b-to-d-queued # 2 calls",
		`caller: {exe: ["/bin/a\\*b"]}`, `target: {uid: [5], exe: ["/bin/d"], cgroup: ["/x"]}`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	p := parsed(t, text)
	if failures := p.Test(); len(failures) > 0 {
		t.Error(failures)
	}
}

// TestReadIsStrict says in words what is wrong with a line.
func TestReadIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                           `its verdict is ""`,
		"null":                         `its verdict is ""`,
		`{"verdict":"maybe"}`:          `its verdict is "maybe"`,
		"nonsense":                     "it is no JSON object",
		"[]":                           "it is no JSON object",
		`{"verdict":1}`:                `"verdict" is a number`,
		`{"args":{"sig":"TERM"}}`:      `"args.sig" is a string`,
		`{"verdict":"all`:              "it is cut short: leave it out if the rest is to do",
		strings.Repeat("x", maxLine+1): "it is longer than 1 MiB",
	} {
		if _, err := Read("a", strings.NewReader(text)); err == nil || err.Error() != "a:1: no line of an audit: "+want {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

// TestGroups takes words for all members of a group, of whom a line has the leader.
func TestGroups(t *testing.T) {
	for _, c := range []struct{ arg0, target, want string }{
		{"0", `{"pid":9,"comm":"a","relation":["self","same-session"]}`, "relation: [self, descendant]"},
		{"-9", `{"pid":9,"comm":"a","relation":["child","descendant"]}`, "relation: [descendant]"},
		{"0", `{"pid":9,"comm":"a","relation":["parent","same-session"]}`, "relation: [same-session]"},
		{"0", `{"pid":9,"comm":"a","relation":["same-session"]}`, "relation: [same-session]"}, // its grandparent
		{"0", "null", "relation: [same-session]"},                                             // which has ended
		{"-1", "null", "relation: [descendant]"},
	} {
		line := `{"syscall":"kill","caller":{"pid":8,"comm":"b"},"args":{"arg0":` + c.arg0 + `,"arg1":15},"signal":"SIGTERM","verdict":"allow","target":` + c.target + "}"
		lines, err := Read("a", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		text := Learn(lines).YAML()
		if !strings.Contains(text, "target: {"+c.want+"}") {
			t.Errorf("%s: no %s in\n%s", line, c.want, text)
		}
		if failures := parsed(t, text).Test(); len(failures) > 0 {
			t.Error(failures)
		}
	}
}

// TestErrorsStay has a call that came to nothing fail by the kernel's word, not by a rule's,
// which alone says of somebody who has ended that he is there.
func TestErrorsStay(t *testing.T) {
	const line = `{"syscall":"kill","abi":"amd64","caller":{"pid":8,"comm":"b"},"args":{"arg0":9,"arg1":0},"signal":"0","target":null,"verdict":"allow"}`
	lines, err := Read("a", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	p := parsed(t, Learn(lines).YAML())
	if q, _ := lines[0].query(); !slices.Equal(p.Rules(), []string{"in-vain"}) {
		t.Error(p.Rules())
	} else if v, decided := p.Early(&q); decided {
		t.Errorf("registers decide: %v", v)
	}
	if r := replay(p, &lines[0]); r.Change != Unsure {
		t.Error(r)
	}
	if r := replay(parsed(t, "version: 1\nsyscalls: all\ndefault: deny\n"), &lines[0]); r.Change != Denied {
		t.Error(r)
	}
}

// TestMergeForms adds to files of other forms, or says why not.
func TestMergeForms(t *testing.T) {
	const head = "version: 1\nsyscalls: all\ndefault: deny\n"
	lines := read(t, "../../docs/policies/learnt/make.jsonl")
	for _, before := range []string{head, head + "rules: []\n", head + "rules: [] # none\n", "---\n" + head + "...\n", head + "rules:\n", strings.TrimSpace(head)} {
		if _, text, err := Merge(parsed(t, strings.Replace(before, "rules:\n", "", 1)), before, lines); err != nil || len(parsed(t, text).Rules()) != 3 {
			t.Errorf("%q: %v\n%s", before, err, text)
		}
	}
	const inline = head + "rules: [{name: a, action: deny, match: {signals: [SIGINT]}}]\n"
	if _, _, err := Merge(parsed(t, inline), inline, lines); err == nil || !strings.Contains(err.Error(), "in one line") {
		t.Error(err)
	}
}
