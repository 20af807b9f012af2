package tests

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// death is one row: who is killed or deprived of something, alone, how, and where a call is at
// the time.
type death struct {
	backend                        string // notify, ptrace, serve, or kept: serve with a keeper of its descriptors
	mode, killed, how, step, width string
}

func (d death) name() string {
	return strings.Join([]string{d.backend, d.mode, d.killed, d.how, d.step, d.width}, "/")
}

// toll is what a death came to. All but the attempts must be 0.
type toll struct{ attempts, through, hung int }

// TestBoundaryDeath: after the death of any process of ours, wherever a call is, nothing is
// let through that is not allowed, nothing at all when nobody is left to judge, and nobody
// hangs or stays stopped. One that is out of memory, descriptors or tasks lives, and serves on.
// What the victims do meanwhile is attack/survive.c.
func TestBoundaryDeath(t *testing.T) {
	table := []string{"BACKEND/MODE/KILLED/HOW/STEP/WIDTH  attempts  through  hung"}
	sum, rows := toll{}, deaths()
	for _, d := range rows {
		t.Run(d.name(), func(t *testing.T) {
			got := d.run(t)
			table = append(table, fmt.Sprintf("%-50s %d  %d  %d", d.name(), got.attempts, got.through, got.hung))
			sum.attempts, sum.through, sum.hung = sum.attempts+got.attempts, sum.through+got.through, sum.hung+got.hung
			if got.through != 0 || got.hung != 0 || got.attempts == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Logf("%s\nall: %d rows, %d attempts, %d calls through, %d callers hung",
		strings.Join(table, "\n"), len(rows), sum.attempts, sum.through, sum.hung)
}

func (d death) run(t *testing.T) toll {
	t.Helper()
	s := newSurvival(t)
	if d.backend == "serve" || d.backend == "kept" {
		return d.serve(t, s)
	}
	p := newPauser(t, shortDir(t))
	p.forEverybody()
	how := []string{
		"run", "--log-level", "error", "--policy", policyFile(t, s.guarded, guardedPolicies["uid"]),
		"--mode", d.mode, "--backend", d.backend, "--pause", d.step + ":" + p.path,
	}
	argv := append(append([]string{buildTestShim(t)}, append(how, "--")...), s.command(d.width, d.words()...)...)
	front := s.start(append(d.as(), argv...))
	release := d.await(p)
	ours := map[string]*process{"front": front, "supervisor": awaitChildNamed(t, front.pid, "__supervise")}
	serves := ours["supervisor"]
	if d.backend == "ptrace" {
		serves = awaitChildNamed(t, serves.pid, "__tracer")
		ours["tracer"] = serves
	}
	if d.killed == "reader" {
		ours["reader"] = awaitChildNamed(t, serves.pid, "__reader")
	}
	closed := d.strike(s, ours[d.killed], release)
	if d.backend == "ptrace" && closed {
		s.hung += ours["tracer"].awaitEnd()
	}
	got := s.end(closed)
	s.hung += front.awaitEnd()
	got.hung = s.hung
	said, _ := os.ReadFile(s.said.Name())
	s.noTrace(string(said))
	return got
}

// strike brings the process's end about, or takes something from it, and lets the call go on.
// It tells whether nobody is left who could let calls through.
func (d death) strike(s *survival, victim *process, release func()) (closed bool) {
	d.deprive(s.t, victim)
	release()
	switch {
	case !d.deadly():
		s.servesOn()
		if d.killed != "reader" { // which another takes the place of
			victim.lives()
		}
		return false
	case d.killed == "front", d.killed == "reader", d.killed == "hopper":
		s.hung += victim.awaitEnd()
		return false
	}
	s.hung += victim.awaitEnd()
	return true
}

// TestBoundaryDeathAtStart: COMMAND is stopped for a tracer who never comes, or whose answer
// nobody hears.
func TestBoundaryDeathAtStart(t *testing.T) {
	for _, killed := range []string{"supervisor", "tracer", "front"} {
		t.Run(killed, func(t *testing.T) {
			s := newSurvival(t)
			p := newPauser(t, shortDir(t))
			argv := append([]string{buildTestShim(t), "run", "--backend", "ptrace", "--pause", "starting:" + p.path, "--"}, s.command("m64")...)
			front := s.start(argv)
			conn := p.wait()
			ours := map[string]*process{"front": front, "supervisor": childNamed(t, front.pid, "__supervise")}
			ours["tracer"] = childNamed(t, ours["supervisor"].pid, "__tracer")
			ours[killed].kill()
			ours[killed].awaitEnd()
			_ = conn.Close()
			for _, p := range ours {
				p.awaitEnd()
			}
			if !s.await(func() bool { return false }) {
				t.Errorf("left behind: %v", s.holders())
			}
		})
	}
}

// deathDeadline is for what follows a death at once: reaching it means that somebody hangs.
const deathDeadline = time.Minute

// survival is attack/survive.c at work.
type survival struct {
	t       *testing.T
	guarded *guardedProcess
	said    *os.File // its standard error
	counts  *os.File
	pipe    *os.File // at its end when no caller is left
	theirs  *os.File
	hung    int
}

// The words of the file of counts (attack/guarded.c).
const (
	countAttempts = 0
	countThrough  = 1
	countFriendly = 3
	countClosed   = 5
	countStop     = 6
	countWords    = 7
)

func newSurvival(t *testing.T) *survival {
	t.Helper()
	s := &survival{t: t, guarded: startGuarded(t)}
	var err error
	if s.counts, err = os.Create(filepath.Join(t.TempDir(), "counts")); err == nil {
		err = errors.Join(s.counts.Truncate(4*countWords), s.counts.Chmod(0o666))
	}
	if err == nil {
		s.said, err = os.Create(filepath.Join(t.TempDir(), "stderr"))
	}
	if err == nil {
		s.pipe, s.theirs, err = os.Pipe()
	}
	if err == nil { // whoever the supervisor is reads files of the test's
		err = os.Chmod(filepath.Dir(t.TempDir()), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range s.holders() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_, _, _, _ = s.counts.Close(), s.said.Close(), s.pipe.Close(), s.theirs.Close()
	})
	return s
}

func (s *survival) command(width string, more ...string) []string {
	return append(attackIn(s.t, "native", width, "survive", "victim="+strconv.Itoa(s.guarded.pid), "counts="+s.counts.Name()), more...)
}

func (s *survival) start(argv []string) *process {
	s.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{s.guarded.pidfd, s.theirs}, s.said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.theirs.Close()
	p := openProcess(s.t, cmd.Process.Pid)
	go func() { _ = cmd.Wait() }()
	return p
}

func (s *survival) count(word int) int {
	var text [4]byte
	_, _ = s.counts.ReadAt(text[:], 4*int64(word))
	return int(int32(binary.LittleEndian.Uint32(text[:])))
}

func (s *survival) tell(word int) { _, _ = s.counts.WriteAt([]byte{1, 0, 0, 0}, 4*int64(word)) }

// end lets the callers go on for a while, has them stop, and waits until none is left.
func (s *survival) end(closed bool) toll {
	if closed {
		s.tell(countClosed)
	}
	more := soak(50, 200)
	s.await(func() bool { return s.count(countAttempts) >= more })
	start := s.count(countAttempts)
	s.await(func() bool { return s.count(countAttempts) >= start+more })
	s.tell(countStop)
	if !s.await(func() bool { return false }) {
		for _, pid := range s.holders() {
			s.t.Logf("process %d hangs: %s, %s", pid, statusWord(pid, "State"), wchan(pid))
			s.hung++
		}
	}
	s.guarded.untouched(s.t)
	return toll{attempts: s.count(countAttempts), through: s.count(countThrough)}
}

func wchan(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", pid))
	return string(text)
}

// await returns when a condition holds (false) or when no caller is left (true).
func (s *survival) await(holds func() bool) (over bool) {
	for deadline := time.Now().Add(deathDeadline); time.Now().Before(deadline) && !holds(); {
		_ = s.pipe.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if _, err := s.pipe.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			return true
		}
	}
	return false
}

// holders are the processes that have the pipe's other end.
func (s *survival) holders() (pids []int) {
	own, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", s.pipe.Fd()))
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if name, _ := os.Readlink(link); name == own {
			pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
			if pid != os.Getpid() && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// process is one that may be killed by its handle.
type process struct {
	t       *testing.T
	pid, fd int
}

func openProcess(t *testing.T, pid int) *process {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return &process{t, pid, fd}
}

// awaitChildNamed is childNamed for one that is yet to be started.
func awaitChildNamed(t *testing.T, parent int, role string) *process {
	t.Helper()
	for end := time.Now().Add(deathDeadline); time.Now().Before(end); runtime.Gosched() {
		if pid := findChild(parent, role); pid != 0 {
			if fd, err := unix.PidfdOpen(pid, 0); err == nil {
				t.Cleanup(func() { _ = unix.Close(fd) })
				return &process{t, pid, fd}
			}
		}
	}
	t.Fatalf("process %d starts no %s", parent, role)
	return nil
}

// childNamed is the child of a process that was started in a role.
func childNamed(t *testing.T, parent int, role string) *process {
	t.Helper()
	pid := findChild(parent, role)
	if pid == 0 {
		t.Fatalf("process %d has no %s", parent, role)
	}
	return openProcess(t, pid)
}

func findChild(parent int, role string) int {
	for _, pid := range childrenOf(parent) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(text), role+"\x00") || strings.HasSuffix(string(text), role) {
			return pid
		}
	}
	return 0
}

func (p *process) kill() { _ = unix.PidfdSendSignal(p.fd, unix.SIGKILL, nil, 0) }

func (p *process) lives() {
	p.t.Helper()
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(fds, 0); n != 0 {
		p.t.Errorf("process %d has ended", p.pid)
	}
}

// awaitEnd is 1 if it does not end.
func (p *process) awaitEnd() int {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(deathDeadline.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case n == 0:
			p.t.Errorf("process %d does not end", p.pid)
			p.kill()
			return 1
		default:
			return 0
		}
	}
}
