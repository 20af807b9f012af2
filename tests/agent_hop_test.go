package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestAgentIsKilledInAHop kills the agent while its hopper is between two steps, and has the
// hopper go on when another agent has served others meanwhile. Whatever the step, the call
// is carried out once, its caller lives, and the hopper ends and has kept no listener.
func TestAgentIsKilledInAHop(t *testing.T) {
	asks := []string{"--mode", "auto", "--policy-dir", policyDir(t, map[string]string{"parents": denyParent}), "--default-policy", "parents"}
	for _, row := range []struct {
		name   string
		filter []string
		load   string
		flags  []string
	}{
		{"caller", nil, "--queue", []string{"--mode", "caller"}},
		{"killable", []string{"--killable"}, "--queue", []string{"--mode", "caller"}},
		{"policy", []string{"--killable", "--siblings"}, "--plain", asks},
	} {
		for at, step := range inject.Steps {
			t.Run(row.name+"/"+step, func(t *testing.T) {
				if slices.Contains(row.filter, "--killable") {
					skip.If(t, kernel.WaitKillableRecv())
				}
				m := newManager(t)
				m.shim = buildTestShim(t)
				p := newPauser(t, m.dir)
				m.start(append(row.flags, "--pause", step+":"+p.path)...)
				const callers = 2 // one is in the hop, the other goes on
				all, begin := startLoadersOf(t, row.filter, m.socket, "notifies=landlock_restrict_self", 1, row.load, fmt.Sprint(callers), "-1")
				m.await("the listener to be kept", func() bool { return len(m.kept) == 1 })
				begin()
				conn := p.wait()
				hopper := openHopper(t, m.agent.cmd.Process.Pid)
				m.kill()
				m.start(row.flags...)
				m.agent.log.await(t, "msg=\"serving on\"")
				m.progress(3)
				if n := hopper.listeners(); n > 0 && at >= int(inject.Answered) {
					t.Errorf("the hopper still has %d listeners", n)
				}
				_ = conn.Close()
				hopper.awaitEnd()
				m.progress(6)
				_ = all[0].cmd.Process.Signal(syscall.SIGUSR1)
				all[0].wait(t)
				if l := all[0].loadResult; l.errors > 0 || l.died > 0 || l.doubled > 0 || l.got != l.calls || l.least == 0 {
					t.Errorf("%+v\n%s", l, m.agent.log)
				}
			})
		}
	}
}

// TestHopperIsKilled kills the hopper itself between two steps. Until it has given the caller
// other registers nobody is harmed; from then on the caller dies with it.
func TestHopperIsKilled(t *testing.T) {
	for _, killable := range []bool{false, true} {
		for at, step := range inject.Steps {
			t.Run(fmt.Sprintf("killable=%t/%s", killable, step), func(t *testing.T) {
				var filter []string
				if killable {
					skip.If(t, kernel.WaitKillableRecv())
					filter = []string{"--killable"}
				}
				m := newManager(t)
				m.shim = buildTestShim(t)
				p := newPauser(t, m.dir)
				m.start("--mode", "caller", "--pause", step+":"+p.path)
				all, begin := startLoadersOf(t, filter, m.socket, "notifies=landlock_restrict_self", 1, "--queue", "1", "-1")
				begin()
				p.wait()
				hopper := openHopper(t, m.agent.cmd.Process.Pid)
				_ = unix.PidfdSendSignal(hopper.fd, unix.SIGKILL, nil, 0)
				hopper.awaitEnd()
				died, refused := 0, 0
				switch s := inject.Step(at); {
				case s >= inject.Borrowed:
					died = 1
				case s == inject.Interrupted && killable: // its call cannot be answered any more
					refused = 1
				}
				if died == 0 {
					m.progress(6)
				}
				_ = all[0].cmd.Process.Signal(syscall.SIGUSR1)
				all[0].wait(t)
				// What one that dies was sending may be out, and is not counted by it.
				l := all[0].loadResult
				if l.died != died || l.errors != refused || l.doubled > 0 || l.got < l.calls-refused || l.got > l.calls-refused+died {
					t.Errorf("%+v: %d should have died, %d have been refused\n%s", l, died, refused, m.agent.log)
				}
			})
		}
	}
}

// pauser stops the first hop that comes to a step, and no other.
type pauser struct {
	t      *testing.T
	path   string
	socket *net.UnixListener
}

func newPauser(t *testing.T, dir string) *pauser {
	t.Helper()
	path := filepath.Join(dir, "pause")
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return &pauser{t, path, socket}
}

// forEverybody lets supervisors of other users stop, too.
func (p *pauser) forEverybody() {
	p.t.Helper()
	if err := errors.Join(os.Chmod(filepath.Dir(p.path), 0o755), os.Chmod(p.path, 0o777)); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns when a hop stands there. It stands until the connection is closed.
func (p *pauser) wait() *net.UnixConn {
	p.t.Helper()
	_ = p.socket.SetDeadline(time.Now().Add(agentDeadline))
	conn, err := p.socket.AcceptUnix()
	if err != nil {
		p.t.Fatalf("no hop comes to the step: %v", err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_ = p.socket.Close() // others that have connected by now are let go
	return conn
}

// hopperProcess is an agent's.
type hopperProcess struct {
	t   *testing.T
	pid int
	fd  int
}

func openHopper(t *testing.T, agent int) hopperProcess {
	t.Helper()
	for _, pid := range childrenOf(agent) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if !strings.Contains(string(text), "__hopper") {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return hopperProcess{t, pid, fd}
	}
	t.Fatal("the agent has no hopper")
	return hopperProcess{}
}

// listeners counts the seccomp listeners that it has.
func (h hopperProcess) listeners() (n int) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", h.pid))
	for _, link := range links {
		if name, _ := os.Readlink(link); strings.Contains(name, "seccomp notify") {
			n++
		}
	}
	return n
}

func (h hopperProcess) awaitEnd() {
	h.t.Helper()
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(agentDeadline.Milliseconds()))
		switch {
		case err == unix.EINTR:
		case n == 0:
			h.t.Fatal("the hopper outlives its agent and its work")
		default:
			return
		}
	}
}
