package front

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/tests/pty"
)

// protected starts `run --protect` as root, without which there is no pid namespace.
func protected(t *testing.T, args ...string) *running {
	t.Helper()
	needRoot(t)
	return start(t, append([]string{"run", "--protect"}, args...)...)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("PIDFD_SHIM_NO_SKIP") != "" {
		t.Fatal("--protect takes root")
	}
	t.Skip("--protect takes root")
}

// tree is who is there under a front, by outer numbers.
type tree struct{ supervisor, init, command int }

// treeOf finds them. Precondition: COMMAND runs.
func treeOf(t *testing.T, front int) (found tree) {
	t.Helper()
	for _, pid := range childrenOf(t, front) {
		if slices.Contains(wordsOf(pid), string(role.Supervisor)) {
			found.supervisor = pid
		}
	}
	for _, pid := range childrenOf(t, found.supervisor) {
		if slices.Contains(wordsOf(pid), string(role.Init)) {
			found.init = pid
		} else {
			found.command = pid
		}
	}
	if found.supervisor == 0 || found.init == 0 || found.command == 0 {
		t.Fatalf("under the front: %+v", found)
	}
	return found
}

func wordsOf(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Split(string(text), "\x00")
}

func (tr tree) goneBy(t *testing.T) {
	t.Helper()
	for _, pid := range []int{tr.command, tr.init, tr.supervisor} {
		if err := unix.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d (%v of %+v): %v, want no such process", pid, wordsOf(pid), tr, err)
		}
	}
}

func TestProtectedExitStatus(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		want   int
		stderr string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"sh", "-c", "exit 7"}, 7, ""},
		{[]string{"sh", "-c", "kill -9 $$"}, 1009, ""},
		{[]string{"bash", "-c", "kill -40 $$"}, 1040, ""},
		{[]string{"sh", "-c", "kill -9 1; kill -STOP 1; kill -SEGV 1; kill -TERM -1 2>/dev/null; exit 6"}, 6, ""},
		{[]string{"no-such-command"}, 127, "pidfd-shim: run no-such-command: command not found\n"},
		{[]string{"/etc"}, 126, "pidfd-shim: run /etc: permission denied\n"},
		{[]string{"sh", "-c", "cd /proc/self && test $(readlink /proc/self) != 1 && test $(readlink exe) = $(readlink -f /bin/sh)"}, 0, ""},
	} {
		s := protected(t, tt.args...)
		if got := s.status(); got != tt.want || s.err.String() != tt.stderr {
			t.Errorf("%q: status %d stderr %q, want %d %q", tt.args, got, s.err.String(), tt.want, tt.stderr)
		}
	}
}

// TestProtectedBirth: but for the one capability, COMMAND is born as without us.
func TestProtectedBirth(t *testing.T) {
	needRoot(t)
	capability := regexp.MustCompile(`(Cap(?:Prm|Eff|Bnd):\t)([0-9a-f]{16})`)
	without := func(line string) string {
		return capability.ReplaceAllStringFunc(line, func(text string) string {
			part := capability.FindStringSubmatch(text)
			set, err := strconv.ParseUint(part[2], 16, 64)
			check(err)
			return fmt.Sprintf("%s%016x", part[1], set&^(1<<unix.CAP_SYS_PTRACE))
		})
	}
	all := slices.Collect(maps.Keys(probes))
	for _, c := range []struct{ birth, probes []string }{
		{nil, all},
		{[]string{"env=A=1", "env=A=2", "env==odd"}, []string{"environment"}},
		{[]string{"dup=9", "dup=11"}, []string{"descriptors", "flags"}},
		{[]string{"nofile=40", "umask=37", "ignore=3", "block=8000000000000200"}, []string{"signals", "limits"}},
	} {
		birth := c.birth
		for _, probe := range c.probes {
			path, err := exec.LookPath(probes[probe][0])
			if err != nil {
				t.Fatal(err)
			}
			argv := append([]string{path}, probes[probe][1:]...)
			native := outputOf(t, slices.Concat([]string{"launch"}, birth, []string{"--"}, argv))
			under := outputOf(t, slices.Concat([]string{"launch"}, birth, []string{"--", testBinary(t), "run", "--protect"}, argv))
			for i := range native {
				native[i] = without(native[i])
			}
			if diff := cmp.Diff(native, under); diff != "" {
				t.Errorf("%s: launch %q (-native +run):\n%s", probe, birth, diff)
			}
		}
	}
}

// TestProtectedSignals: what is sent to the front reaches COMMAND, once, from a sender
// that has no number inside; and so does what is sent to the group.
func TestProtectedSignals(t *testing.T) {
	s := protected(t, testBinary(t), "signals")
	if line := s.line(); !strings.HasPrefix(line, "ready ") || !strings.HasSuffix(line, " 0") {
		t.Fatalf("COMMAND says %q, want a parent that has no number", line)
	}
	tr := treeOf(t, s.Process.Pid)
	for _, pid := range []int{tr.command, s.Process.Pid} {
		if group, err := unix.Getpgid(pid); err != nil || group != s.Process.Pid {
			t.Errorf("process %d is in group %d (%v), want the front's, %d", pid, group, err, s.Process.Pid)
		}
	}
	for _, pid := range []int{tr.supervisor, tr.init} {
		if group, err := unix.Getpgid(pid); err != nil || group != pid {
			t.Errorf("process %d is in group %d (%v), want its own", pid, group, err)
		}
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGUSR1, unix.SIGSEGV, 63} {
		s.signalFront(sig)
		if got, want := s.line(), fmt.Sprintf("%d %d 0 0", sig, siQueue); got != want {
			t.Errorf("to the front: COMMAND got %q, want %q", got, want)
		}
		check(unix.Kill(-s.Process.Pid, sig))
		if got, want := s.line(), fmt.Sprintf("%d %d 0 0", sig, siUser); got != want {
			t.Errorf("to the group: COMMAND got %q, want %q", got, want)
		}
	}
	if more := s.finish(); len(more) != 0 {
		t.Errorf("COMMAND got %q on top", more)
	}
	tr.goneBy(t)
}

// TestProtectedStops: the front does as COMMAND does.
func TestProtectedStops(t *testing.T) {
	s := protected(t, "sh", "-c", "echo up; exec cat")
	s.line()
	command := treeOf(t, s.Process.Pid).command
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGSTOP, unix.SIGTTIN} {
		check(unix.Kill(command, sig))
		if status := waitFront(t, s.Process.Pid); !status.Stopped() || status.StopSignal() != sig {
			t.Fatalf("the front: %#x, want a stop by %v", status, sig)
		}
		check(unix.Kill(command, unix.SIGCONT))
		if status := waitFront(t, s.Process.Pid); !status.Continued() {
			t.Fatalf("the front: %#x, want to go on", status)
		}
	}
	s.in.Close()
	if got := s.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestProtectedDaemon: what outlives COMMAND keeps the namespace, and with its end all
// of ours ends. A daemon inside a namespace of its own is one, too.
func TestProtectedDaemon(t *testing.T) {
	for _, flag := range []string{"", "--wait=all"} {
		for _, how := range []string{"setsid", "unshare --pid --fork"} {
			g := newGate(t)
			var args []string
			if flag != "" {
				args = append(args, flag)
			}
			s := protected(t, append(args, "sh", "-c",
				how+` sh -c 'read x <"$0"' "$1" </dev/null >/dev/null 2>&1 & echo up; read y; exit 4`, "sh", g.path)...)
			s.line()
			tr := treeOf(t, s.Process.Pid)
			s.in.Close()
			if rest, err := io.ReadAll(s.out); err != nil || len(rest) != 0 {
				t.Errorf("the pipe gave %q, %v, want its end", rest, err)
			}
			if flag == "" {
				if got := s.status(); got != 4 {
					t.Errorf("status %d, want 4", got)
				}
			}
			for _, pid := range []int{tr.supervisor, tr.init} {
				if err := unix.Kill(pid, 0); err != nil {
					t.Errorf("process %d of %+v: %v, want alive", pid, tr, err)
				}
			}
			g.open()
			if flag != "" {
				if got := s.status(); got != 4 {
					t.Errorf("%s: status %d, want 4", flag, got)
				}
			}
			waitGone(t, tr.init)
			waitGone(t, tr.supervisor)
		}
	}
}

// TestProtectedWithoutSupervisor: the front takes over COMMAND, and the init ends with
// COMMAND, its sibling, not before.
func TestProtectedWithoutSupervisor(t *testing.T) {
	s := protected(t, "sh", "-c", "echo up; read x; exit 5")
	s.line()
	tr := treeOf(t, s.Process.Pid)
	check(unix.Kill(tr.supervisor, unix.SIGKILL))
	waitGone(t, tr.supervisor)
	if _, err := io.WriteString(s.in, "go\n"); err != nil {
		t.Fatal(err)
	}
	want := "pidfd-shim: supervise: the supervisor died (killed)\n"
	if got := s.status(); got != 5 || s.err.String() != want {
		t.Errorf("status %d stderr %q, want 5 %q", got, s.err.String(), want)
	}
	waitGone(t, tr.init)
}

// TestProtectedFrontKilled: COMMAND ends, the daemon is served on.
func TestProtectedFrontKilled(t *testing.T) {
	g := newGate(t)
	s := protected(t, "sh", "-c", `setsid sh -c 'read x <"$0"' "$1" & echo up; read y`, "sh", g.path)
	s.line()
	tr := treeOf(t, s.Process.Pid)
	check(s.Process.Kill())
	waitGone(t, tr.command)
	if err := unix.Kill(tr.supervisor, 0); err != nil {
		t.Errorf("the supervisor: %v, want alive", err)
	}
	g.open()
	waitGone(t, tr.init)
	waitGone(t, tr.supervisor)
	_ = s.Wait()
}

// TestProtectedNothingIsHeld: what COMMAND inherits, the init does not.
func TestProtectedNothingIsHeld(t *testing.T) {
	needRoot(t)
	s := start(t, "launch", "dup=63", "--", testBinary(t), "run", "--protect", testBinary(t), "signals")
	s.line()
	tr := treeOf(t, s.Process.Pid)
	has := func(pid int) bool {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, 0x63))
		return err == nil
	}
	if !has(tr.command) || has(tr.init) {
		t.Errorf("descriptor %d: COMMAND has it: %v, the init has it: %v", 0x63, has(tr.command), has(tr.init))
	}
	s.finish()
}

// TestProtectedInit: nobody inside may look into it.
func TestProtectedInit(t *testing.T) {
	s := protected(t, "sh", "-c", `readlink /proc/1/exe /proc/1/cwd /proc/1/ns/mnt /proc/1/fd/*; cat /proc/1/environ 2>/dev/null; cat /proc/1/comm`)
	if got, _ := io.ReadAll(s.out); string(got) != program+"\n" {
		t.Errorf("of the init is seen %q, want its name alone", got)
	}
	s.status()
}

// TestProtectedMounts: a procfs somewhere else is renewed as well, with its options, a
// mount namespace bound to a file is taken away, and both only inside.
func TestProtectedMounts(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	script := fmt.Sprintf(`set -e
mkdir "%[1]s/with blank" && mount -t proc -o ro,nosuid,hidepid=2 proc "%[1]s/with blank"
touch %[1]s/ns && mount --bind /proc/self/ns/pid %[1]s/ns
%[2]s run --protect sh -c '
	stat -f -c %%T %[1]s/ns
	readlink "%[1]s/with blank/self" | tr 0-9 N
	ls "%[1]s/with blank" | grep -c "^[0-9]"
	grep "with.*blank" /proc/self/mounts | cut -d" " -f3-4
	grep -c "^proc " /proc/self/mounts'
stat -f -c %%T %[1]s/ns
`, dir, testBinary(t))
	out, err := exec.Command("unshare", "--mount", "sh", "-c", script).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 6 {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{lines[0], strings.Repeat("N", len(lines[1])), lines[2], "proc ro,nosuid,relatime,hidepid=invisible", "2", "nsfs"}
	if diff := cmp.Diff(want, lines); diff != "" || lines[0] == "nsfs" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n, err := strconv.Atoi(lines[2]); err != nil || n > 9 {
		t.Errorf("%s processes are seen, want those inside", lines[2])
	}
}

func TestParseMounts(t *testing.T) {
	const text = `22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw,hidepid=invisible,gid=7
23 22 0:21 /sys /proc/sys ro,relatime - proc proc rw
24 22 0:4 mnt:[4026532301] /run/snap\040d/ns/x.mnt rw - nsfs nsfs rw
25 22 0:4 net:[4026532302] /run/netns/x rw shared:7 master:1 - nsfs nsfs rw
26 1 0:5 / / rw - ext4 /dev/with\134slash rw
half a line
`
	want := []mount{
		{"22", "/", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME, "hidepid=invisible,gid=7"},
		{"23", "/sys", "/proc/sys", "proc", unix.MS_RDONLY | unix.MS_RELATIME, ""},
		{"24", "mnt:[4026532301]", "/run/snap d/ns/x.mnt", "nsfs", 0, ""},
		{"25", "net:[4026532302]", "/run/netns/x", "nsfs", 0, ""},
		{"26", "/", "/", "ext4", 0, ""},
	}
	got := parseMounts(text)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var outer []bool
	for _, m := range got {
		outer = append(outer, m.namesOuter())
	}
	if !slices.Equal(outer, []bool{true, true, true, false, false}) {
		t.Errorf("names outer processes: %v", outer)
	}
}

// TestProtectedJobControl: keys, fg, and an interactive shell as COMMAND.
func TestProtectedJobControl(t *testing.T) {
	needRoot(t)
	term := newShell(t)
	term.Type("$T run --protect $T echo; echo st''atus=$?\n")
	term.Until("ready 0")
	term.Type("one\n")
	term.Until("one\r\n")
	for range 2 {
		term.settle(term.front(t))
		term.Type(pty.CtrlZ)
		term.Until("Stopped")
		term.Until(fmt.Sprintf("status=%d", 128+unix.SIGTSTP))
		term.Type("fg; echo st''atus=$?\n")
		term.Until("$T echo\r\n")
		term.Type("two\n")
		term.Until("two\r\n")
	}
	term.settle(term.front(t))
	term.Type(pty.CtrlC)
	term.Until("\r\n") // the shell's: it is back, and reads what is typed from here on
	term.Type("echo st''atus=$?\n")
	term.Until("status=130")
	term.Type("$T run --protect bash --norc --noprofile --noediting -i; echo ou''ter=$?\n")
	term.Type("PS1='in''> '\n")
	term.Until("in> ")
	term.Type("cat; echo ca''t=$?\n")
	term.Type("one\n")
	term.Until("one\r\n")
	term.Type(pty.CtrlZ)
	term.Until("cat=148")
	term.Type("fg\n")
	term.Type("two\n")
	term.Until("two\r\n")
	term.Type(pty.CtrlC)
	term.Until("in> ")
	term.Type("exit 3\n")
	term.Until("outer=3")
	term.Type("stty size >/dev/null && exit 5\n")
	if got := term.status(); got != 5 {
		t.Errorf("status %d, want 5", got)
	}
}

// front is the front that runs in the shell of the terminal.
func (term *terminal) front(t *testing.T) int {
	t.Helper()
	children := childrenOf(t, term.Cmd.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("the shell has the children %v, want the front", children)
	}
	return children[0]
}

// TestProtectedNeedsRoot: one line, and the way out.
func TestProtectedNeedsRoot(t *testing.T) {
	needRoot(t)
	path := filepath.Join(t.TempDir(), "front.test")
	text, err := os.ReadFile(testBinary(t))
	check(err)
	check(os.WriteFile(path, text, 0o755))
	for dir := filepath.Dir(path); dir != "/tmp"; dir = filepath.Dir(dir) {
		check(os.Chmod(dir, 0o755))
	}
	cmd := exec.Command(path, "run", "--protect", "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != ourFailure || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "run as root") {
		t.Errorf("status %d stderr %q", cmd.ProcessState.ExitCode(), stderr.String())
	}
}
