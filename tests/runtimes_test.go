package tests

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// setting is one way in which a container is run.
type setting struct {
	runtime string
	userns  bool
	width   string
	modes   []string
}

func (s setting) String() string { return fmt.Sprintf("%s-userns=%v-%s", s.runtime, s.userns, s.width) }

var servedModes = []string{"auto", "forward", "caller", "emulate"}

// settings are all under `make runtimes` (PIDFD_SHIM_RUNTIMES), else enough to have
// each runtime, width, mode and kind of user namespace twice.
func settings() []setting {
	if os.Getenv("PIDFD_SHIM_RUNTIMES") == "" {
		return []setting{
			{"runc", false, "m64", servedModes},
			{"crun", true, "m64", []string{"auto", "caller"}},
			{"crun", false, "m32", []string{"forward", "emulate"}},
			{"runc", true, "m32", []string{"auto", "emulate"}},
		}
	}
	var all []setting
	for _, runtime := range runtimes {
		for _, userns := range []bool{false, true} {
			for _, width := range widths {
				all = append(all, setting{runtime, userns, width, servedModes})
			}
		}
	}
	return all
}

// TestContainerRows runs the truth suite in containers: under an agent each row is what
// it is in the same container without a profile, but for what docs/FIDELITY.md names.
func TestContainerRows(t *testing.T) {
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			truth := buildTruth(t, "truth", s.width)
			argv := append([]string{"/truth-" + s.width}, rowsWanted()...)
			native := newContainer(t, s.runtime, s.userns, truth).rows(argv...)
			if len(native) < minRows && rowsWanted() == nil {
				t.Errorf("%d rows, the suite promises %d", len(native), minRows)
			}
			for _, mode := range s.modes {
				t.Run(mode, func(t *testing.T) {
					agent := startAgent(t, "--mode", mode)
					c := newContainer(t, s.runtime, s.userns, truth)
					c.notify(agent.socket, "", "landlock_restrict_self")
					judgeContainer(t, native, c.rows(argv...), exceptions, mode, s.width)
					agent.log.await(t, `msg="served until its end"`, c.id)
				})
			}
		})
	}
}

// TestContainerOldPaths serves a container as on kernels before 6.11 and 6.13, which
// neither translate pids between namespaces nor tell them of a pidfd.
func TestContainerOldPaths(t *testing.T) {
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	truth, argv := buildTruth(t, "truth", "m64"), []string{"/truth-m64", "--only", "fds/"}
	native := newContainer(t, "runc", false, truth).rows(argv...)
	for _, mode := range []string{"caller", "emulate"} {
		t.Run(mode, func(t *testing.T) {
			agent := &serving{t: t, shim: buildTestShim(t), socket: filepath.Join(shortDir(t), "agent.sock")}
			agent.start("--mode", mode, "--pretend", "nonstranslate,noinfo")
			c := newContainer(t, "runc", false, truth)
			c.notify(agent.socket, "", "landlock_restrict_self")
			judgeContainer(t, native, c.rows(argv...), exceptions, mode, "m64")
		})
	}
}

// TestContainerExec executes the truth suite in a container that runs already: runtimes
// then hand over a listener of its own.
func TestContainerExec(t *testing.T) {
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	only := []string{"--only", "fds/"}
	for i, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			width := widths[i%len(widths)]
			truth, init := buildTruth(t, "truth", width), buildInit(t)
			argv := append([]string{"/truth-" + width}, only...)
			rows := func(c *container) []row {
				rows, err := parseRows(c.execIn(argv...))
				if err != nil || len(rows) == 0 {
					t.Fatalf("%d rows: %v", len(rows), err)
				}
				return rows
			}
			native := rows(newContainer(t, runtime, false, truth, init))
			for _, mode := range servedModes {
				t.Run(mode, func(t *testing.T) {
					agent := startAgent(t, "--mode", mode)
					c := newContainer(t, runtime, false, truth, init)
					c.notify(agent.socket, "", "landlock_restrict_self")
					judgeContainer(t, native, rows(c), exceptions, mode, width)
					if n := agent.log.count("msg=serving", c.id); n != 2 {
						t.Errorf("%d listeners were handed over, want 2:\n%s", n, agent.log)
					}
				})
			}
		})
	}
}

// TestContainerUnknownPolicy asks for a policy that the operator does not have.
func TestContainerUnknownPolicy(t *testing.T) {
	const row = "fds/fd=pidfd/sig=SIGUSR1/flags=0/info=NULL/recv=sigwait"
	truth := buildTruth(t, "truth", "m64")
	for _, runtime := range runtimes {
		for unknown, want := range map[string]string{"deny": "ret=-1 errno=EPERM", "default": "ret=0 errno=0"} {
			t.Run(runtime+"-"+unknown, func(t *testing.T) {
				agent := startAgent(t, "--unknown-policy", unknown)
				c := newContainer(t, runtime, false, truth)
				c.notify(agent.socket, "policy=nobody-has-it")
				rows := c.rows("/truth-m64", "--row", row)
				if len(rows) != 1 || !strings.HasPrefix(rows[0].line, want) {
					t.Errorf("rows %v, want %s", rows, want)
				}
				agent.log.await(t, "nobody-has-it")
			})
		}
	}
}

// TestContainerLandlockUnseen has a profile that does not notify of Landlock: nothing is
// then sent from outside in the name of a caller that a domain may confine, who makes the
// call itself.
func TestContainerLandlockUnseen(t *testing.T) {
	if !kernel.LandlockScopesSignals() {
		skip.Extra(t, errors.New("Landlock does not scope signals before 6.12"))
	}
	truth := buildTruth(t, "truth", "m64")
	agent := startAgent(t, "--mode", "emulate")
	c := newContainer(t, "runc", false, truth)
	c.notify(agent.socket, "")
	for _, r := range c.rows("/truth-m64", "--only", "around/landlock/") {
		want := "ret=-1 errno=EPERM"
		if strings.Contains(r.id, "target=inside/") {
			want = "ret=0"
		}
		if !strings.HasPrefix(r.line, want) {
			t.Errorf("row %s: %s, want %s", r.id, r.line, want)
		}
	}
}

// judgeContainer compares rows. Rows that this container cannot set up prove nothing:
// two participants may differ in who says so first.
func judgeContainer(t *testing.T, native, served []row, exceptions []exception, mode, width string) {
	t.Helper()
	other := map[string]string{}
	for _, r := range served {
		other[r.id] = r.line
	}
	table := mode
	if mode == "auto" || mode == "forward" {
		table = "continue" // a container's callers are run by the kernel
	}
	var kept, keptServed []row
	for _, r := range native {
		line := other[r.id]
		if strings.Contains(r.line, "got=setup(") && strings.Contains(line, "got=setup(") {
			continue
		}
		if mode == "emulate" && asAncestor(r, line, exceptions, width) || mode == "caller" && isServedSo(r, line, exceptions) {
			line = r.line
		}
		kept, keptServed = append(kept, r), append(keptServed, row{r.id, line})
	}
	if len(kept) < len(native)*3/4 {
		t.Errorf("only %d of %d rows could be set up", len(kept), len(native))
	}
	list := slices.Clone(exceptions)
	for i := range list {
		list[i].sometimes = list[i].sometimes || mode == "emulate"
	}
	v := judge(kept, keptServed, list, table, width, true)
	t.Logf("%s of %d", v, len(native))
	report(t, v, strings.ReplaceAll(t.Name(), "/", "-"), []string{t.Name()})
}

// isServedSo tells of a line that an exception for serve in mode caller allows.
func isServedSo(r row, line string, exceptions []exception) bool {
	return slices.ContainsFunc(exceptions, func(e exception) bool {
		return slices.Contains(e.modes, "served-caller") && e.rows.MatchString(r.id) && e.change.allows(r.line, line)
	})
}

// asAncestor tells whether a line is the kernel's but for who sent and by which code:
// what an ancestor pid namespace sends arrives with si_pid 0, and only as SI_QUEUE.
func asAncestor(r row, line string, exceptions []exception, width string) bool {
	if masked(r.line) == masked(line) {
		return true
	}
	for _, e := range exceptions {
		if e.covers("served-emulate", width) && e.rows.MatchString(r.id) && e.change.allows(r.line, line) {
			return true
		}
		if e.covers("emulate", width) && e.rows.MatchString(r.id) && e.change.before == nil && masked(e.change.apply(r.line)) == masked(line) {
			return true
		}
	}
	return false
}

// sender are the words of a siginfo that tell of its sender and its code, and those that
// follow from the code.
var sender = regexp.MustCompile(`(code|pid|uid|raw|addr|band|fd|int|ptr|status|utime|stime|tid|overrun|trapno|addr_lsb|value)=[^ }]*`)

func masked(line string) string { return sender.ReplaceAllString(line, "$1=") }
