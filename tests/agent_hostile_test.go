package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// goodState is a hand-over as runc sends it, for containers that there are not.
const goodState = `{"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":4711,"metadata":"","state":{"ociVersion":"1.0.2-dev","id":"hostile","status":"creating","pid":4711,"bundle":"/b"}}`

// with is goodState with one thing changed.
func with(old, new string) string { return strings.Replace(goodState, old, new, 1) }

// peer is one connection to the agent.
type peer struct {
	t    *testing.T
	conn *net.UnixConn
}

// hostile are kinds of bad hand-overs. Each is what a peer does before it waits for the
// agent to hang up.
var hostile = map[string]func(p *peer){
	// The text.
	"nothing, half-closed":  func(p *peer) { p.end() },
	"one byte":              func(p *peer) { p.send("{", nullFile); p.end() },
	"space":                 func(p *peer) { p.send(" \n\t ", nullFile); p.end() },
	"half":                  func(p *peer) { p.send(goodState[:100], nullFile); p.end() },
	"all but the last byte": func(p *peer) { p.send(goodState[:len(goodState)-1], nullFile); p.end() },
	"HTTP":                  func(p *peer) { p.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") },
	"zeros":                 func(p *peer) { p.send(string(make([]byte, 5000)), nullFile) },
	"all ones":              func(p *peer) { p.send(strings.Repeat("\xff", 5000), nullFile) },
	"a number":              func(p *peer) { p.send("42", nullFile) },
	"a string":              func(p *peer) { p.send(`"x"`, nullFile) },
	"null":                  func(p *peer) { p.send("null", nullFile) },
	"an array":              func(p *peer) { p.send("["+goodState+"]", nullFile) },
	"XML":                   func(p *peer) { p.send("<state/>", nullFile) },
	"comment in front":      func(p *peer) { p.send("// x\n"+goodState, nullFile) },
	"byte order mark":       func(p *peer) { p.send("\ufeff"+goodState, nullFile) },
	"quotes missing":        func(p *peer) { p.send(with(`"fds"`, `fds`), nullFile) },
	"comma too many":        func(p *peer) { p.send(with(`"],`, `",],`), nullFile) },
	"brace too many":        func(p *peer) { p.send(goodState+"}", nullFile) },
	"two states":            func(p *peer) { p.send(goodState+goodState, nullFile, nullFile) },
	"text after it":         func(p *peer) { p.send(goodState+"{}", nullFile) },
	"empty object":          func(p *peer) { p.send("{}", nullFile) },
	"no state":              func(p *peer) { p.send(`{"fds":["seccompFd"]}`, nullFile) },
	"state null":            func(p *peer) { p.send(`{"fds":["seccompFd"],"state":null}`, nullFile) },
	"state a string":        func(p *peer) { p.send(`{"fds":["seccompFd"],"state":"x"}`, nullFile) },
	"fds a string":          func(p *peer) { p.send(with(`["seccompFd"]`, `"seccompFd"`), nullFile) },
	"fds an object":         func(p *peer) { p.send(with(`["seccompFd"]`, `{"0":"seccompFd"}`), nullFile) },
	"fds of numbers":        func(p *peer) { p.send(with(`["seccompFd"]`, `[0]`), nullFile) },
	"fds empty":             func(p *peer) { p.send(with(`["seccompFd"]`, `[]`), nullFile) },
	"fds null":              func(p *peer) { p.send(with(`["seccompFd"]`, `null`), nullFile) },
	"another name":          func(p *peer) { p.send(with(`"seccompFd"`, `"seccompfd"`), nullFile) },
	"named twice":           func(p *peer) { p.send(with(`"seccompFd"`, `"seccompFd","seccompFd"`), nullFile, nullFile) },
	"twice, one descriptor": func(p *peer) { p.send(with(`"seccompFd"`, `"seccompFd","seccompFd"`), nullFile) },
	"a million names":       func(p *peer) { p.send(with(`"seccompFd"`, `"x"`+strings.Repeat(`,"x"`, 15000)), nullFile) },
	"pid a string":          func(p *peer) { p.send(with(`4711`, `"x"`), nullFile) },
	"pid huge":              func(p *peer) { p.send(with(`4711`, `1e999`), nullFile) },
	"id empty":              func(p *peer) { p.send(with(`"hostile"`, `""`), nullFile) },
	"id missing":            func(p *peer) { p.send(with(`"id":"hostile",`, ``), nullFile) },
	"id a number":           func(p *peer) { p.send(with(`"hostile"`, `1`), nullFile) },
	"id huge":               func(p *peer) { p.send(with(`"hostile"`, `"`+strings.Repeat("x", 60000)+`"`), nullFile) },
	"id with a newline":     func(p *peer) { p.send(with(`"hostile"`, `"a\nlevel=ERROR b"`), nullFile) },
	"id with an escape":     func(p *peer) { p.send(with(`"hostile"`, `"\u001b[2J"`), nullFile) },
	"id not UTF-8":          func(p *peer) { p.send(with(`"hostile"`, "\"\xff\""), nullFile) },
	"more than 64 KiB":      func(p *peer) { p.send(with(`"metadata":""`, `"metadata":"`+strings.Repeat("x", 70<<10)+`"`), nullFile) },
	"megabytes":             func(p *peer) { p.send(strings.Repeat("{", 4<<20), nullFile) },
	"nested without end":    func(p *peer) { p.send(`{"x":`+strings.Repeat("[", 30000), nullFile); p.end() },
	"nested deep":           func(p *peer) { p.send(`{"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+"}", nullFile) },
	"a byte at a time":      func(p *peer) { p.bytewise(goodState[:150], nullFile) },
	"out-of-band":           func(p *peer) { p.send(goodState[:50]); _ = p.outOfBand(); p.end() },

	// The descriptors.
	"no descriptor":       func(p *peer) { p.send(goodState) },
	"descriptor too late": func(p *peer) { p.send(goodState); p.send(" ", nullFile) },
	"third of two":        func(p *peer) { p.send(with(`"seccompFd"`, `"a","b","seccompFd"`), nullFile, nullFile) },
	"seventeen":           func(p *peer) { p.send(goodState, times(17, nullFile)...) },
	"two hundred":         func(p *peer) { p.send(goodState, times(200, nullFile)...) },
	"sixteen a message": func(p *peer) {
		p.send(goodState[:10], times(16, nullFile)...)
		p.send(goodState[10:], times(16, nullFile)...)
	},
	"descriptors alone":       func(p *peer) { p.send("{", times(16, nullFile)...); p.end() },
	"a file":                  func(p *peer) { p.send(goodState, ownFile) },
	"a directory":             func(p *peer) { p.send(goodState, opens(unix.O_DIRECTORY, "/")) },
	"an O_PATH":               func(p *peer) { p.send(goodState, opens(unix.O_PATH, "/")) },
	"a file named as one":     func(p *peer) { p.send(goodState, named("anon_inode:seccomp notify")) },
	"a pipe":                  func(p *peer) { p.send(goodState, aPipe) },
	"the connection itself":   func(p *peer) { p.send(goodState, p.itself) },
	"a pidfd":                 func(p *peer) { p.send(goodState, made(unix.PidfdOpen(os.Getpid(), 0))) },
	"a pidfd of the agent":    func(p *peer) { p.send(goodState, made(unix.PidfdOpen(os.Getppid(), 0))) },
	"an eventfd":              func(p *peer) { p.send(goodState, made(unix.Eventfd(0, 0))) },
	"an epoll":                func(p *peer) { p.send(goodState, made(unix.EpollCreate1(0))) },
	"a memfd":                 func(p *peer) { p.send(goodState, made(unix.MemfdCreate("anon_inode:seccomp notify", 0))) },
	"a timerfd":               func(p *peer) { p.send(goodState, made(unix.TimerfdCreate(unix.CLOCK_MONOTONIC, 0))) },
	"an inotify":              func(p *peer) { p.send(goodState, made(unix.InotifyInit1(0))) },
	"a terminal":              func(p *peer) { p.send(goodState, opens(unix.O_RDWR, "/dev/ptmx")) },
	"a terminal's other name": func(p *peer) { p.send(with("hostile", "<script>"), opens(unix.O_RDWR, "/dev/ptmx")) },
}

// TestAgentSurvivesHostilePeers hands over in every wrong way while a good container is
// served: none of its calls is lost, no descriptor stays, memory stays flat.
func TestAgentSurvivesHostilePeers(t *testing.T) {
	if len(hostile) < 60 {
		t.Fatalf("%d kinds, 60 were promised", len(hostile))
	}
	rounds := soak(6, 200)
	agent := startAgent(t)
	good, begin := startLoaders(t, agent.socket, 1, soak(4, 120))
	agent.log.await(t, "msg=serving", "load-0")
	agent.hostileRound() // whatever is made once
	descriptors, memory := agent.descriptors(), rssOf(t, agent.cmd.Process.Pid)
	begin()
	for range rounds {
		agent.hostileRound()
	}
	agent.crowd(400)
	agent.awaitDescriptors(descriptors)
	good[0].wait(t)
	if r := good[0].loadResult; r.errors > 0 || r.least == 0 {
		t.Errorf("the good container's callers: %+v", r)
	}
	late, begin := startLoaders(t, agent.socket, 1, 1)
	begin()
	late[0].wait(t)
	if r := late[0].loadResult; r.errors > 0 || r.least == 0 {
		t.Errorf("callers of a container after it: %+v", r)
	}
	grown := rssOf(t, agent.cmd.Process.Pid) - memory
	t.Logf("%d kinds, %d rounds: %d calls of the good container answered, memory grew by %d KiB, %d descriptors",
		len(hostile), rounds, good[0].calls, grown>>10, descriptors)
	if grown > 16<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
}

func (s *serving) hostileRound() {
	s.t.Helper()
	for name, act := range hostile {
		p := s.connect()
		act(p)
		p.awaitHangUp(name)
	}
}

func (s *serving) connect() *peer {
	s.t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.socket})
	if err != nil {
		s.t.Fatal(err)
	}
	return &peer{s.t, conn}
}

// crowd opens connections that say nothing, more than the agent lets in at once, and
// then leaves.
func (s *serving) crowd(n int) {
	s.t.Helper()
	var crowd []*peer
	for range n {
		crowd = append(crowd, s.connect())
	}
	s.log.await(s.t, "limit of connections reached")
	crowd[0].awaitHangUp("the oldest of a crowd")
	for _, p := range crowd[1:] {
		_ = p.conn.Close()
	}
}

// awaitHangUp waits for the agent to close the connection: it has then let go of all
// that came over it.
func (p *peer) awaitHangUp(name string) {
	p.t.Helper()
	defer p.conn.Close()
	_ = p.conn.SetReadDeadline(time.Now().Add(agentDeadline))
	if n, err := p.conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Errorf("%s: read %d bytes, %v; want a hang-up", name, n, err)
	}
}

func (p *peer) end() { _ = p.conn.CloseWrite() }

// send writes a message with descriptors; the agent may hang up in the middle of it.
func (p *peer) send(text string, files ...func() (int, func())) {
	var fds []int
	for _, open := range files {
		fd, closeIt := open()
		defer closeIt()
		fds = append(fds, fd)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for rest := []byte(text); len(rest) > 0; rights = nil {
		n, _, err := p.conn.WriteMsgUnix(rest, rights, nil)
		if err != nil {
			return
		}
		rest = rest[n:]
	}
}

func (p *peer) bytewise(text string, files ...func() (int, func())) {
	for i := range len(text) {
		if i == 0 {
			p.send(text[:1], files...)
		} else {
			p.send(text[i : i+1])
		}
	}
	p.end()
}

func (p *peer) outOfBand() error {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { _ = unix.Sendto(int(fd), []byte("x"), unix.MSG_OOB, nil) })
}

// itself is the connection's own descriptor: a cycle, which only the kernel's collector
// for unix sockets can undo.
func (p *peer) itself() (int, func()) {
	file, err := p.conn.File()
	if err != nil {
		p.t.Fatal(err)
	}
	return int(file.Fd()), func() { _ = file.Close() }
}

func times(n int, open func() (int, func())) []func() (int, func()) {
	all := make([]func() (int, func()), n)
	for i := range all {
		all[i] = open
	}
	return all
}

func nullFile() (int, func()) { return opens(unix.O_RDONLY, os.DevNull)() }

func ownFile() (int, func()) { return opens(unix.O_RDONLY, "/proc/self/exe")() }

func opens(flags int, path string) func() (int, func()) {
	return func() (int, func()) { return made(unix.Open(path, flags|unix.O_CLOEXEC, 0))() }
}

func named(name string) func() (int, func()) {
	return func() (int, func()) {
		dir, err := os.MkdirTemp("", "named")
		if err != nil {
			return made(-1, err)()
		}
		fd, closeIt := made(unix.Open(filepath.Join(dir, name), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600))()
		return fd, func() {
			closeIt()
			_ = os.RemoveAll(dir)
		}
	}
}

func aPipe() (int, func()) {
	var ends [2]int
	err := unix.Pipe2(ends[:], unix.O_CLOEXEC)
	fd, closeIt := made(ends[0], err)()
	return fd, func() {
		closeIt()
		_ = unix.Close(ends[1])
	}
}

// made is a descriptor that was made for one message.
func made(fd int, err error) func() (int, func()) {
	return func() (int, func()) {
		if err != nil {
			panic(fmt.Sprintf("make a descriptor to hand over: %v", err))
		}
		return fd, func() { _ = unix.Close(fd) }
	}
}

func (s *serving) descriptors() int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries)
}

// awaitDescriptors waits until the agent has as many as before: no event tells of it.
func (s *serving) awaitDescriptors(want int) {
	s.t.Helper()
	for end := time.Now().Add(agentDeadline); s.descriptors() > want; runtime.Gosched() {
		if time.Now().After(end) {
			s.t.Errorf("the agent has %d descriptors, before it had %d", s.descriptors(), want)
			return
		}
	}
}

func rssOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}
