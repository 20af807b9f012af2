// Package randpolicy makes up policies and calls that have something to do with each
// other: all of them take their numbers and names from a few. It is for tests, and
// knows nothing of package policy, so that tests of that can use it.
package randpolicy

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Generator makes everything from its Rand.
type Generator struct{ *rand.Rand }

// New is the generator of a seed.
func New(seed uint64) Generator { return Generator{rand.New(rand.NewPCG(seed, 424))} }

var (
	calls     = []arch.Syscall{arch.PidfdSendSignal, arch.Kill, arch.Tkill, arch.Tgkill, arch.RtSigqueueinfo, arch.RtTgsigqueueinfo}
	relations = []string{
		"self", "child", "parent", "descendant", "sandbox",
		"same-uid", "same-session", "same-pidns", "nested-pidns", "init",
	}
)

// Policy is the text of a file.
func (g Generator) Policy() string {
	var text strings.Builder
	text.WriteString("version: 1\n")
	text.WriteString("syscalls: [" + g.some(names()...) + "]\n")
	text.WriteString("default: " + g.Pick("allow", "deny") + "\n")
	if g.IntN(2) == 0 {
		text.WriteString("errno: " + g.Pick("EPERM", "EACCES", "ENOSYS") + "\n")
	}
	rules := g.IntN(6)
	if rules > 0 {
		text.WriteString("rules:\n")
	}
	for i := range rules {
		action := g.Pick("allow", "deny")
		fmt.Fprintf(&text, "  - name: r%d\n    action: %s\n", i, action)
		if action == "deny" && g.IntN(3) == 0 {
			text.WriteString("    errno: ESRCH\n")
		}
		if match := g.match(); match != "" {
			text.WriteString("    match: {" + match + "}\n")
		}
	}
	return text.String()
}

func (g Generator) match() string {
	var keys []string
	add := func(chance int, name string, values ...string) {
		if g.IntN(chance) == 0 {
			keys = append(keys, name+": ["+g.some(values...)+"]")
		}
	}
	add(2, "signals", "0", "SIGKILL", "SIGTERM", "SIGRTMIN+1..SIGRTMAX", "1..20", "64")
	add(3, "scope", "process", "thread", "group")
	add(3, "codes", `"NULL"`, "SI_QUEUE", "SI_USER", "-6..-2", "5")
	add(5, "values", "0", "7", "-5..5", "1000..2000")
	whole := keys
	keys = nil
	add(8, "uid", "0", "1000", "1000..2000")
	add(8, "euid", "0", "1000..2000")
	add(12, "gid", "0", "5")
	add(12, "exe", "/usr/bin/*", "/bin/sh", `"**/x"`)
	add(12, "comm", "x", `"*"`, "sh?")
	add(12, "cgroup", "/a/**", "/b")
	add(5, "abi", "amd64", "i386", "x32")
	if len(keys) > 0 {
		whole = append(whole, "caller: {"+strings.Join(keys, ", ")+"}")
	}
	keys = nil
	add(8, "uid", "0", "1000", "1000..2000")
	add(12, "exe", "/usr/bin/*", "/bin/sh")
	add(12, "comm", "x", "sh?")
	add(12, "cgroup", "/a/**", "/b")
	add(12, "pid", "1", "100..200")
	add(6, "relation", relations...)
	if len(keys) > 0 {
		whole = append(whole, "target: {"+strings.Join(keys, ", ")+"}")
	}
	return strings.Join(whole, ", ")
}

// Pick takes one.
func (g Generator) Pick(values ...string) string { return values[g.IntN(len(values))] }

// some is a list of one or more of the values.
func (g Generator) some(values ...string) string {
	var list []string
	for _, i := range g.Perm(len(values))[:1+g.IntN(len(values))] {
		list = append(list, values[i])
	}
	return strings.Join(list, ", ")
}

// Call is a call of one of the family, with arguments that matter, and garbage where the
// kernel does not look.
func (g Generator) Call() (arch.Syscall, arch.ABI, [6]uint64) {
	s := calls[g.IntN(len(calls))]
	abi := arch.ABI(1 + g.IntN(3))
	var raw [6]uint64
	for i := range raw {
		raw[i] = g.Uint64()
	}
	word := func(i int, values ...int64) {
		raw[i] = g.Uint64()<<32 | uint64(uint32(values[g.IntN(len(values))]))
	}
	const selfThread, selfProcess = -10000, -10001 // PIDFD_SELF_*
	word(0, 3, 0, -1, -100, selfThread, selfProcess, 1<<31-1, -1<<31)
	signal := 1
	if s == arch.Tgkill || s == arch.RtTgsigqueueinfo {
		signal = 2
	}
	word(signal, 0, 9, 15, 34, 35, 64, 65, -1, 1<<31)
	info := signal + 1
	if g.IntN(2) == 0 {
		raw[info] = 0
		if abi == arch.I386 {
			raw[info] = g.Uint64() << 32
		}
	}
	if s == arch.PidfdSendSignal {
		word(3, 0, 0, 0, 1, 2, 4, 3, 6, 7, 8, -1)
	}
	return s, abi, raw
}

func names() []string {
	var list []string
	for _, s := range calls {
		list = append(list, s.String())
	}
	return list
}
