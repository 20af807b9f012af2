package learn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Schema is where editors find the schema of a policy.
const Schema = "https://github.com/pidfd-shim/pidfd-shim/docs/policy.schema.json"

// YAML is the policy: what was seen is allowed, and nothing else.
func (l *Learned) YAML() string {
	var out strings.Builder
	out.WriteString("$schema: " + Schema + "\nversion: 1\n")
	if slices.Equal(l.syscalls, []string{"pidfd_send_signal"}) {
		out.WriteString("syscalls: [pidfd_send_signal]\n")
	} else {
		out.WriteString("syscalls: all\n")
	}
	out.WriteString("default: deny\n")
	if len(l.rules) == 0 {
		return out.String()
	}
	out.WriteString("rules:\n" + l.ruleLines("  ", ""))
	if tests := l.testLines(); tests != "" {
		out.WriteString("\ntests:\n" + tests)
	}
	return out.String()
}

// ruleLines writes the list of rules, each behind a comment.
func (l *Learned) ruleLines(indent, mark string) string {
	var out strings.Builder
	for i := range l.rules {
		l.rules[i].write(&out, indent, mark)
	}
	return out.String()
}

func (r *rule) write(out *strings.Builder, indent, mark string) {
	line := func(depth int, text string) {
		fmt.Fprintf(out, "%s%s%s\n", indent, strings.Repeat("  ", depth), text)
	}
	behind := calls(r.calls)
	if r.order == orderVain {
		behind += " that failed: with this they fail as they did"
	}
	line(0, fmt.Sprintf("- name: %s # %s%s", r.name, mark, behind))
	line(1, "action: allow")
	line(1, "match:")
	line(2, "signals: ["+signalList(r.signals)+"]")
	line(2, "scope: ["+r.scope+"]")
	switch r.code {
	case "":
	case "NULL":
		line(2, `codes: ["NULL"]`)
	default:
		line(2, "codes: ["+r.code+"]")
	}
	if len(r.values) > 0 {
		line(2, "values: ["+strings.Join(ranges(r.values, func(int64) bool { return true }, decimal), ", ")+"]")
	}
	if who := words("exe", r.callerExe, "comm", r.callerComm); who != "" {
		line(2, "caller: {"+who+"}")
	}
	target := words("exe", r.exe, "comm", r.comm, "cgroup", r.cgroup)
	if r.uid != "" {
		target = "uid: [" + r.uid + "], " + target
	}
	if r.relation != "" {
		target = strings.TrimSuffix("relation: ["+r.relation+"], "+target, ", ")
	}
	line(2, "target: {"+strings.TrimSuffix(target, ", ")+"}")
}

func calls(n int) string {
	if n == 1 {
		return "1 call"
	}
	return fmt.Sprintf("%d calls", n)
}

// words writes keys with one pattern each, leaving out what is empty.
func words(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, pairs[i]+": ["+strconv.Quote(pattern(pairs[i+1]))+"]")
		}
	}
	return strings.Join(list, ", ")
}

// pattern takes a text for itself; what stands for a byte that is no UTF-8 takes any.
func pattern(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, "\ufffd", "?").Replace(text)
}

// signalList writes names, and real-time signals in a row as a range.
func signalList(signals []int32) string {
	return strings.Join(ranges(signals, func(n int32) bool { return n >= arch.SIGRTMIN }, arch.SignalName), ", ")
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// ranges writes three or more in a row as a range, if they may be in one; they are sorted.
func ranges[N int32 | int64](list []N, may func(N) bool, write func(N) string) (texts []string) {
	for i := 0; i < len(list); {
		end := i
		for end+1 < len(list) && list[end+1] == list[end]+1 && may(list[i]) {
			end++
		}
		if end-i < 2 {
			texts = append(texts, write(list[i]))
			i++
			continue
		}
		texts = append(texts, write(list[i])+".."+write(list[end]))
		i = end + 1
	}
	return texts
}

// maxValues is how many values, or ranges of them, a person would read.
const maxValues = 32

// limitValues takes any value where there were too many.
func (r *rule) limitValues() {
	slices.Sort(r.values)
	if len(ranges(r.values, func(int64) bool { return true }, decimal)) > maxValues {
		r.values, r.anyValue, r.lines = nil, true, r.lines[:3]
	}
}

// testLines are calls that were recorded, and of each rule one with another signal.
func (l *Learned) testLines() string {
	var out strings.Builder
	asked := l.asked()
	for i := range l.rules {
		r := &l.rules[i]
		for _, line := range r.lines {
			writeTest(&out, line, signalOf(line), "allow", r.name, asked)
		}
		if other, ok := l.unseen(); ok && len(r.lines) > 0 {
			writeTest(&out, r.lines[0], other, "deny", "", asked)
		}
	}
	return out.String()
}

// asked are the keys that some rule has.
func (l *Learned) asked() []string {
	keys := []string{"relation"}
	for i := range l.rules {
		r := &l.rules[i]
		for key, used := range map[string]bool{
			"uid": r.uid != "", "exe": r.exe != "", "comm": r.comm != "", "cgroup": r.cgroup != "",
			"caller.exe": r.callerExe != "", "caller.comm": r.callerComm != "",
		} {
			if used && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// unseen is a signal that no rule has.
func (l *Learned) unseen() (int32, bool) {
	for _, sig := range []int32{3, 10, 12, 6, 14, 1, 2, 15, 9, 34} {
		if !slices.ContainsFunc(l.rules, func(r rule) bool { return slices.Contains(r.signals, sig) }) {
			return sig, true
		}
	}
	return 0, false
}

func signalOf(line *Line) int32 {
	q, _ := line.query()
	return q.Signal
}

func writeTest(out *strings.Builder, line *Line, sig int32, expect, rule string, asked []string) {
	q, _ := line.query()
	call := fmt.Sprintf("syscall: %s, signal: %s", line.Syscall, arch.SignalName(sig))
	if scope := scopeOf(q.Scope); scope != "process" && line.Syscall != "tgkill" && line.Syscall != "tkill" && line.Syscall != "rt_tgsigqueueinfo" {
		call += ", scope: " + scope
	}
	if q.HasInfo && line.Info != nil {
		call += ", code: " + arch.CodeName(sig, line.Info.Code)
		if v, ok := line.value(); ok {
			call += fmt.Sprintf(", value: %d", v)
		}
	}
	fmt.Fprintf(out, "  - call: {%s}\n", call)
	var unknown []string
	caller := facts(&line.Caller, "caller", asked, &unknown)
	target := facts(targetOf(line), "target", asked, &unknown)
	if caller != "" {
		fmt.Fprintf(out, "    caller: {%s}\n", caller)
	}
	fmt.Fprintf(out, "    target: {%s}\n", target)
	if len(unknown) > 0 {
		fmt.Fprintf(out, "    unknown: [%s]\n", strings.Join(unknown, ", "))
	}
	fmt.Fprintf(out, "    expect: %s\n", expect)
	if rule != "" {
		fmt.Fprintf(out, "    rule: %s\n", rule)
	}
}

// targetOf is the line's, or one of those that kill(0) and kill(-1) reach.
func targetOf(line *Line) *Party {
	switch {
	case line.everybody():
		return &Party{Relation: []string{"descendant"}}
	case line.Target == nil || line.Target.Comm == nil:
		return &Party{Relation: []string{"same-session"}}
	}
	return line.Target
}

// facts are those of a party that rules ask for.
func facts(p *Party, who string, asked []string, unknown *[]string) string {
	var list []string
	add := func(key, value string) {
		name := key
		if who == "caller" {
			name = "caller." + key
		}
		switch {
		case !slices.Contains(asked, name):
		case value == "":
			*unknown = append(*unknown, who+"."+key)
		default:
			list = append(list, key+": "+value)
		}
	}
	if p.UID != nil {
		add("uid", fmt.Sprint(*p.UID))
	} else {
		add("uid", "")
	}
	for _, t := range []struct {
		key  string
		text *string
	}{{"exe", p.Exe}, {"comm", p.Comm}, {"cgroup", p.Cgroup}} {
		if text(t.text) == "" {
			add(t.key, "")
		} else {
			add(t.key, strconv.Quote(*t.text))
		}
	}
	if who == "target" {
		add("relation", "["+strings.Join(p.Relation, ", ")+"]")
	}
	return strings.Join(list, ", ")
}
