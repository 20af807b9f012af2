package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// protectedWays are the ways to run a command with --protect-supervisor.
var protectedWays = []mode{
	{"forward", []string{"--mode", "forward"}},
	{"caller", []string{"--mode", "caller"}},
	{"emulate", []string{"--mode", "emulate"}},
	{"ptrace", []string{"--backend", "ptrace"}},
}

// TestProtectedSupervisor: root inside tries every number and every way, and what it could
// only do with handles from an accomplice outside. Nothing of ours is reached.
func TestProtectedSupervisor(t *testing.T) {
	needRoot(t)
	for _, way := range protectedWays {
		for _, width := range widths {
			t.Run(way.name+"/"+width, func(t *testing.T) {
				a := startProtected(t, width, way.flags...)
				got := a.numbers("answered_after")
				t.Log(got)
				for name, want := range map[string]int{"hits": 0, "answered": 50, "answered_after": 50} {
					if value, there := got[name]; !there || value != want {
						t.Errorf("%s=%d, want %d: %v", name, value, want, got)
					}
				}
				// A host's mount namespace can be entered; it must not help.
				if got["tries"] < 150_000 || got["entered_mounts"] != 1 {
					t.Errorf("the attack did not try what it should: %v", got)
				}
				for _, pid := range a.ours {
					if state := statusWord(pid, "State"); state == "" || strings.ContainsAny(state[:1], "TtZX") {
						t.Errorf("process %d is in state %q", pid, state)
					}
					if tracer := statusWord(pid, "TracerPid"); tracer != "0" {
						t.Errorf("process %d has tracer %s", pid, tracer)
					}
				}
				a.finish()
			})
		}
	}
}

// TestUnprotectedSupervisorIsReached: the attack itself works. Without the flag it
// reads the supervisor and takes its descriptors.
func TestUnprotectedSupervisorIsReached(t *testing.T) {
	needRoot(t)
	mustBuildDir(t)
	out, _ := exec.Command(buildShim(t), "run", "--mode", "forward", "--", "python3", "-c", `
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = os.pidfd_open(os.getppid())
print(sum(libc.syscall(438, fd, n, 0) >= 0 for n in range(32)) > 3, os.path.basename(os.readlink("/proc/%d/exe" % os.getppid())))
os.kill(os.getppid(), 0)`).CombinedOutput()
	if string(out) != "True pidfd-shim\n" {
		t.Errorf("%s", out)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		skip.If(t, errors.New("--protect-supervisor takes root"))
	}
}

// protectedAttack is `attack protect` under the shim, which waits until told to end.
type protectedAttack struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *bufio.Scanner
	err  bytes.Buffer
	peer *net.UnixConn
	ours []int // front, supervisor and their helpers, by outer numbers
}

func startProtected(t *testing.T, width string, flags ...string) *protectedAttack {
	t.Helper()
	mustBuildDir(t)
	bin, err := attackOnce[width]()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// Where the protection fails, no mounts but the front's are at stake.
	argv := slices.Concat([]string{"--mount", buildShim(t), "run", "--protect-supervisor"}, flags,
		[]string{"--", bin, "protect", "numbers=" + strconv.Itoa(soak(20_000, 200_000))})
	a := &protectedAttack{t: t, cmd: exec.Command("unshare", argv...)}
	a.cmd.Env = append(os.Environ(), "ATTACK_SOCKET="+socket, "ATTACK_SHIM="+buildShim(t))
	a.cmd.Stderr = &a.err
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.out = bufio.NewScanner(out)
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(attackDeadline, func() { _ = a.cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); _ = a.cmd.Process.Kill(); _ = a.cmd.Wait() })
	_ = listener.SetDeadline(time.Now().Add(attackDeadline))
	if a.peer, err = listener.AcceptUnix(); err != nil {
		t.Fatalf("%v: %s", err, a.err.String())
	}
	a.hand()
	return a
}

// hand gives the attack the numbers of our processes, and handles.
func (a *protectedAttack) hand() {
	a.t.Helper()
	a.ours = outsideUnder(a.t, a.cmd.Process.Pid)
	front, supervisor := a.ours[0], 0
	for _, pid := range a.ours {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(text), "__supervise\x00") {
			supervisor = pid
		}
	}
	shim, err := os.Stat(buildShim(a.t))
	if err != nil {
		a.t.Fatal(err)
	}
	if exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", supervisor)); err != nil || !os.SameFile(exe, shim) {
		a.t.Fatalf("the attack looks for an executable that the supervisor is not: %v", err)
	}
	var fds []int
	for _, open := range []func() (int, error){
		func() (int, error) { return unix.PidfdOpen(supervisor, 0) },
		func() (int, error) { return unix.PidfdOpen(front, 0) },
		func() (int, error) { return unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) },
		func() (int, error) {
			return unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", front), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		},
	} {
		fd, err := open()
		if err != nil {
			a.t.Fatal(err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	text := strings.Trim(fmt.Sprint(a.ours), "[]")
	if _, _, err := a.peer.WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil); err != nil {
		a.t.Fatal(err)
	}
}

// outsideUnder lists a front and its descendants that are in our own pid namespace.
func outsideUnder(t *testing.T, front int) (pids []int) {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	for queue := []int{front}; len(queue) > 0; queue = queue[1:] {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", queue[0]))
		if err != nil || ns != own {
			continue
		}
		pids = append(pids, queue[0])
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", queue[0]))
		for _, task := range tasks {
			list, _ := os.ReadFile(task)
			for _, word := range strings.Fields(string(list)) {
				pid, _ := strconv.Atoi(word)
				queue = append(queue, pid)
			}
		}
	}
	if len(pids) < 3 {
		t.Fatalf("under the front %d are outside %v, want sentinel and supervisor at least", front, pids)
	}
	return pids
}

// numbers reads lines up to the one of that name; others than "name=number" are errors.
func (a *protectedAttack) numbers(last string) map[string]int {
	a.t.Helper()
	got := map[string]int{}
	for a.out.Scan() {
		name, value, _ := strings.Cut(a.out.Text(), "=")
		n, err := strconv.Atoi(value)
		if err != nil {
			a.t.Error(a.out.Text())
			continue
		}
		got[name] = n
		if name == last {
			return got
		}
	}
	a.t.Fatalf("it ended: %v %s", got, a.err.String())
	return nil
}

func (a *protectedAttack) finish() {
	a.t.Helper()
	_, _ = a.peer.Write([]byte{1})
	if err := a.cmd.Wait(); err != nil || a.err.Len() > 0 {
		a.t.Errorf("%v, stderr %q", err, a.err.String())
	}
}

// statusWord is the value of a line of /proc/PID/status; empty if there is none.
func statusWord(pid int, key string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestProtectedTruth: a program cannot tell the difference, but that there are no kernel
// threads in its /proc.
func TestProtectedTruth(t *testing.T) {
	needRoot(t)
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	truth := append([]string{buildTruth(t, "truth", "m64")}, rowsWanted()...)
	native := alike(runTruth(t, truth...))
	for _, way := range []mode{{"auto", nil}, {"ptrace", []string{"--backend", "ptrace"}}, {"caller", []string{"--mode", "caller"}}}[:soak(2, 3)] {
		run := slices.Concat([]string{buildShim(t), "run", "--protect-supervisor"}, way.flags, []string{"--"})
		rows := alike(runTruth(t, append(run, truth...)...))
		v := judge(native, rows, exceptions, way.name, "m64", true)
		t.Logf("truth protected %s: %s", way.name, v)
		report(t, v, "m64-protected-"+way.name, append(run, truth[0]))
	}
}

// alike drops the rows about kernel threads, which are outside, and about the
// tracer, which has no number inside.
func alike(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool {
		return strings.HasPrefix(r.id, "state=kthread/") || r.id == "around/status=TracerPid:"
	})
}

// TestProtectedPrograms runs some programs that others wrote.
func TestProtectedPrograms(t *testing.T) {
	needRoot(t)
	for _, r := range realPrograms {
		if !soaking && !slices.Contains([]string{"cpython-test-signal", "python-script", "killall", "bash", "make"}, r.name) {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			p := r.prepare(t)
			native := p.run(t)
			p.compare(t, native, p.run(t, buildShim(t), "run", "--protect-supervisor", "--wait", "all", "--"), "auto")
		})
	}
}

// TestProtectedAudit: numbers are the outer ones, the namespace is the inner one; and
// COMMAND has no descriptor more than natively.
func TestProtectedAudit(t *testing.T) {
	needRoot(t)
	const script = `ls /proc/self/fd | wc -l; echo $$; readlink /proc/self/ns/pid; exec "$0" send 0 1`
	native, err := exec.Command("sh", "-c", script, buildShim(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	descriptors, _, _ := strings.Cut(string(native), "\n")
	for _, backend := range []string{"notify", "ptrace"} {
		path := filepath.Join(t.TempDir(), "audit")
		out, err := exec.Command(buildShim(t), "run", "--protect-supervisor", "--backend", backend, "--audit="+path, "--",
			"sh", "-c", script, buildShim(t)).Output()
		said := strings.Fields(string(out))
		if err != nil || len(said) != 3 {
			t.Fatalf("%s: %v\n%s", backend, err, out)
		}
		if said[0] != descriptors {
			t.Errorf("%s: %s descriptors, natively %s", backend, said[0], descriptors)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		type who struct {
			Pid   int
			Pidns uint64
		}
		last := struct{ Caller, Target who }{}
		for line := range strings.Lines(string(text)) {
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatal(err)
			}
		}
		inner, _ := strconv.Atoi(said[1])
		if last.Caller.Pid == inner || last.Caller.Pid == 0 || last.Target.Pid <= 1 || said[2] != fmt.Sprintf("pid:[%d]", last.Caller.Pidns) {
			t.Errorf("%s: inside %v\n%s", backend, said, text)
		}
	}
}

// TestProtectedCgroupKill is what cannot be had: root that can write to the cgroup of
// the supervisor ends it. That fails closed.
func TestProtectedCgroupKill(t *testing.T) {
	needRoot(t)
	root := "/sys/fs/cgroup"
	if _, err := os.Stat(root + "/unified/cgroup.procs"); err == nil {
		root += "/unified"
	}
	ours, other := filepath.Join(root, fmt.Sprintf("shim-%d", os.Getpid())), filepath.Join(root, fmt.Sprintf("shim-%d-other", os.Getpid()))
	for _, dir := range []string{ours, other} {
		skip.Extra(t, os.Mkdir(dir, 0o755))
		defer removeCgroup(t, dir)
	}
	_, err := os.Stat(ours + "/cgroup.kill")
	skip.Extra(t, err) // before 5.14
	cgroup, err := os.Open(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	mustBuildDir(t)
	bin, err := attackOnce["m64"]()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(buildShim(t), "run", "--protect-supervisor", "--mode", "forward", "--", "sh", "-c",
		`echo 0 >"$2/cgroup.procs"; echo 1 >"$1/cgroup.kill"; exec "$0" dead`, bin, ours, other)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	out, _ := cmd.Output() // the end of the pipe is COMMAND's, which outlives the front
	if string(out) != "ENOSYS\n" || !cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Errorf("the front: %v, COMMAND: %q, want killed and ENOSYS", cmd.ProcessState, out)
	}
}

// removeCgroup waits for the last process in it to be gone.
func removeCgroup(t *testing.T, dir string) {
	t.Helper()
	events, err := os.Open(filepath.Join(dir, "cgroup.events"))
	if err != nil {
		t.Error(err)
		return
	}
	defer events.Close()
	for deadline := time.Now().Add(attackDeadline); ; {
		text := make([]byte, 256)
		n, err := events.ReadAt(text, 0)
		if err != nil && !errors.Is(err, io.EOF) || strings.Contains(string(text[:n]), "populated 0") {
			break
		}
		left := int(time.Until(deadline).Milliseconds())
		if left <= 0 {
			t.Errorf("%s is not empty", dir)
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, left)
	}
	if err := os.Remove(dir); err != nil {
		t.Error(err)
	}
}

// TestSameUidCannotLookIn: without the flag, and without root, nobody looks into a
// process of ours, not even as it starts. Kill them he can.
func TestSameUidCannotLookIn(t *testing.T) {
	needRoot(t)
	mustBuildDir(t)
	attack, err := attackOnce["m64"]()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "shim")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{"shim": buildShim(t), "attack": attack}
	for name, from := range programs {
		programs[name] = filepath.Join(dir, name)
		if out, err := exec.Command("install", "-m", "755", from, programs[name]).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// What starts helpers takes memory that does not answer, which a privileged user may
	// hand out by this device.
	device := filepath.Join(dir, "userfaultfd")
	var stat unix.Stat_t
	rounds := soak(10, 500)
	if err := unix.Stat("/dev/userfaultfd", &stat); err != nil {
		rounds = 0
	} else if err := errors.Join(unix.Mknod(device, unix.S_IFCHR|0o666, int(stat.Rdev)), os.Chmod(device, 0o666)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ATTACK_USERFAULTFD", device)
	for _, way := range []mode{protectedWays[0], protectedWays[3]} {
		argv := slices.Concat([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", programs["shim"], "run", "--log-level", "error"},
			way.flags, []string{"--", programs["attack"], "peek", "rounds=" + strconv.Itoa(rounds)})
		got := attackNumbers(t, argv)
		t.Log(way.name, got)
		expect(t, argv, got, map[string]int{"hits": 0, "raced": 0})
		if got["seen"] < 3 || rounds > 0 && way.name == "forward" && got["started"] < rounds/2 {
			t.Errorf("%s: the attack did not try what it should: %v", way.name, got)
		}
	}
}
