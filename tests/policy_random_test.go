package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// TestRandomPolicies: filter and supervisor together decide as the policy's own evaluator
// does, and with the errno that stands where the kernel's checks leave it: a denial by
// registers before them all, any other after EBADF, EINVAL, EFAULT, E2BIG and ESRCH. The
// kernel itself says which of those a call meets.
func TestRandomPolicies(t *testing.T) {
	const each = 150
	policies := soak(6, 200)
	for _, width := range widths {
		bin := buildCalls(t, width)
		for _, way := range [][]string{
			{"--mode", "auto"}, {"--mode", "auto", "--trace=/dev/null"}, {"--mode", "forward"}, {"--mode", "caller"},
			{"--mode", "emulate"}, {"--backend", "ptrace"},
		} {
			t.Run(width+"/"+strings.Join(way, " "), func(t *testing.T) {
				g := policyGenerator{rand.New(rand.NewPCG(7, uint64(len(width))))}
				denied := 0
				for i := range policies {
					denied += g.check(t, i, each, bin, width, way)
				}
				t.Logf("%d of %d calls denied", denied, policies*each)
				if denied < policies || denied > policies*each-policies {
					t.Errorf("%d of %d calls denied: the policies are lopsided", denied, policies*each)
				}
			})
		}
	}
}

func buildCalls(t *testing.T, width string) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), "calls-"+width)
	out, err := exec.Command("gcc", "-static", "-O1", "-"+width, "-Wall", "-Wextra", "-Werror", "-o", bin, "calls/calls.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
	}
	return bin
}

// policyGenerator makes policies and calls of a few words, so that they meet.
type policyGenerator struct{ *rand.Rand }

// check runs one policy over some calls, natively and under the shim, and returns how
// many were denied.
func (g policyGenerator) check(t *testing.T, number, count int, bin, width string, way []string) int {
	t.Helper()
	text := g.policy(bin)
	file := filepath.Join(t.TempDir(), "policy"+strconv.Itoa(number)+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(file, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	calls := make([]randomCall, count)
	var list strings.Builder
	for i := range calls {
		calls[i] = g.call()
		fmt.Fprintln(&list, calls[i])
	}
	natively := runCalls(t, list.String(), bin)
	under := runCalls(t, list.String(), append(append([]string{buildShim(t), "run", "--policy", file}, way...), "--", bin)...)
	denied := 0
	for i, c := range calls {
		want, deny := c.expected(p, width, bin, natively[i])
		if deny {
			denied++
		}
		if under[i] != want {
			t.Errorf("%v: call %q: %v, natively %v, want %v\n%s", way, c, under[i], natively[i], want, text)
		}
	}
	return denied
}

func runCalls(t *testing.T, list string, argv ...string) []unix.Errno {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(list)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", shellLine(argv), err, out)
	}
	var errnos []unix.Errno
	for word := range strings.FieldsSeq(string(out)) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		errnos = append(errnos, unix.Errno(n))
	}
	if want := strings.Count(list, "\n"); len(errnos) != want {
		t.Fatalf("%s: %d results of %d calls", shellLine(argv), len(errnos), want)
	}
	return errnos
}

func (g policyGenerator) policy(bin string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\nsyscalls: %s\ndefault: %s\nerrno: EXFULL\nrules:\n",
		g.pick("all", "all", "[pidfd_send_signal]", "[pidfd_send_signal, kill, rt_sigqueueinfo]"), g.pick("allow", "allow", "deny"))
	for i := range 1 + g.IntN(5) {
		action := g.pick("allow", "deny")
		fmt.Fprintf(&text, "  - name: r%d\n    action: %s\n", i, action)
		if action == "deny" && g.IntN(2) == 0 {
			text.WriteString("    errno: EUNATCH\n")
		}
		var keys []string
		add := func(key string, values ...string) {
			if g.IntN(3) == 0 {
				keys = append(keys, key+": ["+g.some(values...)+"]")
			}
		}
		add("signals", "0", "SIGUSR1", "SIGTERM", "SIGRTMIN..SIGRTMAX", "1..15")
		add("scope", "process", "thread", "group")
		add("codes", `"NULL"`, "SI_QUEUE", "SI_TIMER", "-7..-3", "SI_USER")
		add("values", "0", "7", "-5..-1", "1000..2000")
		party := keys
		keys = nil
		add("uid", "0", "1000")
		add("exe", bin, "/nowhere")
		add("abi", "amd64", "i386")
		if len(keys) > 0 && g.IntN(2) == 0 {
			party = append(party, "caller: {"+strings.Join(keys, ", ")+"}")
		}
		keys = nil
		add("uid", "0", "1000")
		add("pid", "1", "2..3")
		add("relation", "self", "child", "descendant", "sandbox", "same-uid", "same-session", "same-pidns", "nested-pidns", "init")
		if len(keys) > 0 && g.IntN(2) == 0 {
			party = append(party, "target: {"+strings.Join(keys, ", ")+"}")
		}
		if len(party) > 0 {
			text.WriteString("    match: {" + strings.Join(party, ", ") + "}\n")
		}
	}
	return text.String()
}

func (g policyGenerator) pick(values ...string) string { return values[g.IntN(len(values))] }

func (g policyGenerator) some(values ...string) string {
	var list []string
	for _, i := range g.Perm(len(values))[:1+g.IntN(min(3, len(values)))] {
		list = append(list, values[i])
	}
	return strings.Join(list, ", ")
}

// randomCall is a line for calls.c, which says what its words mean.
type randomCall struct {
	what               arch.Syscall
	target             string
	sig                int32
	code, value, flags int32
}

func (c randomCall) String() string {
	return fmt.Sprintf("%v %s %d %d %d %d", c.what, c.target, c.sig, c.code, c.value, c.flags)
}

// The codes of calls.c that are none.
const (
	noInfo  = 9999
	badInfo = 9998
	misInfo = 9997
)

func (g policyGenerator) call() randomCall {
	one := func(values ...int32) int32 { return values[g.IntN(len(values))] }
	c := randomCall{
		what:   arch.PidfdSendSignal + arch.Syscall(g.IntN(6)),
		target: g.pick("self", "child", "grandchild", "bad"),
		sig:    one(0, 10, 15, 34, 40, 64, 65, -1),
		code:   one(noInfo, noInfo, -1, -1, -2, -5, 0, -6, misInfo, badInfo),
		value:  one(0, 7, -3, 1500),
	}
	switch c.what {
	case arch.PidfdSendSignal:
		c.flags = one(0, 0, 1, 2, 4, 3, 8)
		if g.IntN(8) == 0 {
			c.target = "reaped" // by number it could be another's by now
		}
	case arch.Kill:
		c.flags = one(0, 0, 4)
		c.code = noInfo
	case arch.Tkill, arch.Tgkill:
		c.code = noInfo
	}
	return c
}

// expected is the errno of a call under a policy, given the kernel's own.
func (c randomCall) expected(p *policy.Policy, width, bin string, kernels unix.Errno) (want unix.Errno, denied bool) {
	if !p.Covers(c.what) {
		return kernels, false
	}
	abi := arch.AMD64
	if width == "m32" {
		abi = arch.I386
	}
	q := policy.QueryOf(c.what, abi, c.args())
	if v, decided := p.Early(&q); decided {
		if !v.Allow {
			return v.Errno, true
		}
		return kernels, false
	}
	if kernels != 0 && kernels != unix.EAGAIN {
		return kernels, false
	}
	if v := p.Decide(&q, callFacts{c, bin}); !v.Allow {
		return v.Errno, true
	}
	return kernels, false
}

// args are the registers as far as a policy looks at them.
func (c randomCall) args() (args arch.Args) {
	info := uint64(0x1000)
	if c.code == noInfo && c.what == arch.PidfdSendSignal {
		info = 0
	}
	sig := uint64(uint32(c.sig))
	switch c.what {
	case arch.PidfdSendSignal:
		return arch.Args{3, sig, info, uint64(uint32(c.flags))}
	case arch.Kill:
		if c.flags != 0 {
			return arch.Args{uint64(^uint32(99)), sig}
		}
		return arch.Args{100, sig}
	case arch.Tkill, arch.RtSigqueueinfo:
		return arch.Args{100, sig, info}
	}
	return arch.Args{100, 100, sig, info}
}

// callFacts are what calls.c makes true of its processes.
type callFacts struct {
	c   randomCall
	bin string
}

// Gather implements policy.Source.
func (f callFacts) Gather(want policy.Fact, relations policy.Relation, q *policy.Query) {
	q.Facts.Asked |= want
	q.Facts.Known |= want
	q.Facts.Code, q.Facts.Value = f.c.code, f.c.value
	switch f.c.code {
	case noInfo: // of the calls that read one all the same
		q.Facts.Code = -1
	case misInfo, badInfo:
		q.Facts.Code = -1
	}
	if q.Scope == policy.ScopeByDescriptor && want&policy.FinalScope != 0 {
		q.Scope = policy.ScopeProcess
	}
	q.Facts.Caller.UID, q.Facts.Caller.Exe = 0, []byte(f.bin)
	q.Facts.Target.UID, q.Facts.TargetPid = 0, 100
	q.Facts.Relations = (policy.Sandbox | policy.SameSession | policy.SamePidns | f.relations()) & relations
	if f.c.target == "child" {
		q.Facts.Target.UID = 1000
	}
}

func (f callFacts) relations() policy.Relation {
	switch f.c.target {
	case "self":
		return policy.Self | policy.SameUID
	case "child":
		return policy.Child | policy.Descendant
	}
	return policy.Descendant | policy.SameUID
}
