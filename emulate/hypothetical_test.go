package emulate

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// shell runs a script that ends when its stdin does, and returns its pid and the lines
// that it prints, one of which each test waits for.
func shell(t *testing.T, attr *syscall.SysProcAttr, script string) (int32, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = attr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		skip.If(t, err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return int32(cmd.Process.Pid), bufio.NewReader(out)
}

func line(t *testing.T, lines *bufio.Reader) string {
	t.Helper()
	text, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func decimalOf(t *testing.T, text string) int32 {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// parentIs waits until a process's parent is another one.
func parentIs(t *testing.T, pid, parent int32) {
	t.Helper()
	h := testHandler(t, ModeForward)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if got, err := h.tasks.Parent(pid); err != nil {
			t.Fatal(err)
		} else if got == parent {
			return
		}
	}
	t.Fatalf("process %d never became a child of %d", pid, parent)
}

// onlyChild waits until a process has a child and returns its number to us, which a
// process of another pid namespace cannot tell itself.
func onlyChild(t *testing.T, pid int32) int32 {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Fatal(err)
		}
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			return decimalOf(t, fields[0])
		}
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

func related(t *testing.T, caller, target, supervisor int32) string {
	t.Helper()
	pair := pairOf(t, caller, target, supervisor)
	var q policy.Query
	pair.Gather(policy.Related, ^policy.Relation(0), &q)
	if q.Facts.Unsure&q.Facts.Relations != 0 || q.Facts.Known&policy.Related == 0 {
		t.Errorf("from %d to %d: holds %v, unsure %v, known %v", caller, target, q.Facts.Relations, q.Facts.Unsure, q.Facts.Known)
	}
	if unsure := q.Facts.Unsure.String(); unsure != "" {
		return q.Facts.Relations.String() + "; unsure: " + unsure
	}
	return q.Facts.Relations.String()
}

func pairOf(t *testing.T, caller, target, supervisor int32) *HypotheticalCall {
	t.Helper()
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	pair, err := NewHypotheticalCall(fs, kernel.ForRun(), caller, target, supervisor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pair.Close)
	return pair
}

// TestRelations holds the relations to docs/POLICY.md: in a tree, after a parent's death,
// and across pid and user namespaces.
func TestRelations(t *testing.T) {
	us := int32(os.Getpid())
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()

	// A tree: father - son - grandson, and an orphan of the father's.
	father, lines := shell(t, nil, `exec 3<&0; sh -c 'echo $$; sleep 1000 <&3 & echo $!; read x <&3' & read x <&3`)
	son, grandson := decimalOf(t, line(t, lines)), decimalOf(t, line(t, lines))
	parentIs(t, son, father)
	parentIs(t, grandson, son)
	orphanMaker, lines := shell(t, nil, `exec 3<&0; sh -c 'sleep 1000 <&3 & echo $!'; read x <&3`)
	orphan := decimalOf(t, line(t, lines))
	t.Cleanup(func() { _ = unix.Kill(int(orphan), unix.SIGKILL); waitFor(t, orphan) })
	t.Cleanup(func() { _ = unix.Kill(int(grandson), unix.SIGKILL) })
	t.Cleanup(func() { _ = unix.Kill(int(son), unix.SIGKILL) })
	parentIs(t, orphan, us)
	loner, _ := shell(t, &syscall.SysProcAttr{Setsid: true}, `read x`)

	// A container in a container: init - inner init in a pid namespace of its own.
	const nested = syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER
	toRoot := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	container := &syscall.SysProcAttr{Cloneflags: nested, UidMappings: toRoot}
	init, _ := shell(t, container, `exec 3<&0; unshare --pid --fork --kill-child sh -c 'sleep 1000 <&3 & read x' <&0; read x <&3`)
	unshare := onlyChild(t, init)
	inner := onlyChild(t, unshare)
	innermost := onlyChild(t, inner)
	beside, _ := shell(t, container, `read x`)

	for _, c := range []struct {
		name                       string
		caller, target, supervisor int32
		want                       string
	}{
		{"self", father, father, us, "self, sandbox, same-uid, same-session, same-pidns"},
		{"child", father, son, us, "child, descendant, sandbox, same-uid, same-session, same-pidns"},
		{"parent", son, father, us, "parent, sandbox, same-uid, same-session, same-pidns"},
		{"grandchild", father, grandson, us, "descendant, sandbox, same-uid, same-session, same-pidns"},
		{"grandparent", grandson, father, us, "sandbox, same-uid, same-session, same-pidns"},
		{"a sibling's tree", orphanMaker, grandson, us, "sandbox, same-uid, same-session, same-pidns"},
		{"orphan, of its former grandparent", orphanMaker, orphan, us, "sandbox, same-uid, same-session, same-pidns"},
		{"orphan, of the subreaper", us, orphan, us, "child, descendant, sandbox, same-uid, same-session, same-pidns"},
		{"the supervisor is not in its sandbox", father, us, us, "parent, same-uid, same-session, same-pidns"},
		{"another supervisor's sandbox", father, grandson, loner, "descendant, same-uid, same-session, same-pidns"},
		{"a sandbox within", father, grandson, son, "descendant, sandbox, same-uid, same-session, same-pidns"},
		{"no supervisor", father, son, 0, "child, descendant, same-uid, same-session, same-pidns; unsure: sandbox"},
		{"another session", father, loner, us, "sandbox, same-uid, same-pidns"},
		{"into a container", father, init, us, "sandbox, same-uid, same-session, nested-pidns, init"},
		{"two namespaces down", father, innermost, us, "sandbox, same-uid, same-session, nested-pidns"},
		{"from a container's init to the next", init, inner, us, "descendant, sandbox, same-uid, same-session, nested-pidns, init"},
		{"within the inner one", inner, innermost, us, "child, descendant, sandbox, same-uid, same-session, same-pidns"},
		{"out of a container", innermost, init, us, "sandbox, same-uid, same-session, init"},
		{"into a container beside", init, beside, us, "sandbox, same-uid, same-session, init"},
	} {
		if got := related(t, c.caller, c.target, c.supervisor); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPermitted compares the rule with what the kernel tells the very caller.
func TestPermitted(t *testing.T) {
	us := int32(os.Getpid())
	if os.Getuid() != 0 {
		skip.If(t, fmt.Errorf("needs root, for processes of two users"))
	}
	user := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
	caller, lines := shell(t, user, fmt.Sprintf(`kill -0 %d 2>/dev/null; echo $?; read x`, us))
	if got := line(t, lines); got == "0" {
		t.Fatal("the kernel lets a user signal root's process")
	}
	other, _ := shell(t, &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: 4712}}, `read x`)
	for _, c := range []struct {
		name           string
		caller, target int32
		sig            unix.Signal
		want           bool
	}{
		{"itself", caller, caller, unix.SIGKILL, true},
		{"root's", caller, us, unix.SIGTERM, false},
		{"root's, to go on, in one session", caller, us, unix.SIGCONT, true},
		{"another user's", caller, other, unix.SIGKILL, false},
		{"another user's, to go on, in another session", caller, other, unix.SIGCONT, false},
		{"root", us, other, unix.SIGKILL, true},
	} {
		got, err := pairOf(t, c.caller, c.target, 0).Permitted(int32(c.sig))
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}
