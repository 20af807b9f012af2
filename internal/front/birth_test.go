package front

import (
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pidfd-shim/pidfd-shim/internal/front/internal/execstate"
)

// probes are C programs that show what they were born with. Numbers that differ
// from run to run are blanked.
var probes = map[string][]string{
	"signals":     {"grep", "-E", "^(Sig(Blk|Ign|Cgt|Pnd)|ShdPnd|NoNewPrivs|Seccomp|Umask|TracerPid|Cap|Threads)", "/proc/self/status"},
	"limits":      {"cat", "/proc/self/limits"},
	"arguments":   {"cat", "/proc/self/cmdline", "", "/dev/null"},
	"environment": {"cat", "/proc/self/environ"},
	"descriptors": {"ls", "-l", "/proc/self/fd"},
	"flags":       {"grep", "-s", "flags", "/proc/self/fdinfo/0", "/proc/self/fdinfo/1", "/proc/self/fdinfo/2", "/proc/self/fdinfo/9"},
	"directory":   {"readlink", "/proc/self/cwd"},
	"owner":       {"stat", "-c", "%U", "/proc/self/environ"}, // root's if not dumpable
	"adjustments": {"cat", "/proc/self/oom_score_adj", "/proc/self/timerslack_ns", "/proc/self/coredump_filter"},
}

var blanks = regexp.MustCompile(`/proc/\d+/fd|[A-Z][a-z]{2} +\d+ +\d\d:\d\d|pipe:\[\d+\]|total \d+`)

// TestBornAsNative compares what COMMAND is born with to what it would have had
// without us.
func TestBornAsNative(t *testing.T) {
	births := map[string][]string{
		"plain":             {},
		"usr1, rt blocked":  {"block=8000000000000200"},
		"term blocked":      {"block=4007"},
		"environment":       {"env=A=1", "env=A=2", "env==odd", "env=noequals", "env="},
		"more descriptors":  {"dup=9", "dup=11"},
		"few descriptors":   {"nofile=40"},
		"umask":             {"umask=37"},
		"hup, int ignored":  {"ignore=3"},
		"tstp ignored":      {"ignore=80000"},
		"realtime ignored":  {"ignore=c000000380000000"},
		"all blocked":       {"block=ffffffffffffffff"},
		"all ignored":       {"ignore=ffffffffffffffff"},
		"quit, pipe, chld":  {"ignore=11004"},
		"stdin closed":      {"close=0"},
		"stdout, in closed": {"close=0", "close=2"},
	}
	needExec := []string{"realtime ignored", "all ignored", "quit, pipe, chld"}
	for birth, words := range births {
		for probe, argv := range probes {
			t.Run(birth+"/"+probe, func(t *testing.T) {
				if !execstate.CanExec && slices.Contains(needExec, birth) {
					t.Skip("a pure build cannot ignore these in its last step to exec")
				}
				path, err := exec.LookPath(argv[0])
				if err != nil {
					t.Fatal(err)
				}
				argv := append([]string{path}, argv[1:]...)
				native := outputOf(t, slices.Concat([]string{"launch"}, words, []string{"--"}, argv))
				under := outputOf(t, slices.Concat([]string{"launch"}, words, []string{"--", testBinary(t), "run"}, argv))
				if diff := cmp.Diff(native, under); diff != "" {
					t.Errorf("launch %q: %q (-native +run):\n%s", words, argv, diff)
				}
			})
		}
	}
}

func outputOf(t *testing.T, args []string) []string {
	t.Helper()
	s := start(t, args...)
	out, err := io.ReadAll(s.out)
	if err != nil {
		t.Fatal(err)
	}
	s.status()
	return strings.Split(blanks.ReplaceAllString(string(out)+s.err.String(), "_"), "\n")
}

func TestOrdersSurviveTheCommandLine(t *testing.T) {
	want := orders{
		birth: birth{everything, 1 << 63, 5, 12, "7:20:40,"}, sock: 7, front: 4194303,
		config: []string{"--", "", "a b"}, command: []string{"", "--x"},
	}
	got, err := parseOrders(want.args())
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(orders{}, birth{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, args := range [][]string{nil, {"x"}, want.args()[:orderWords], strings.Split("z 0 0 0 0 0 0 0 c", " ")} {
		if _, err := parseOrders(args); err == nil {
			t.Errorf("parseOrders(%q): no error", args)
		}
	}
}
