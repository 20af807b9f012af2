package tests

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager stands in for systemd: it listens for an agent, starts it, keeps the descriptors
// that the agent wants kept, and gives them to the next one.
type manager struct {
	t      *testing.T
	dir    string
	socket string // where containers hand over
	shim   string // the agent's program
	notify *net.UnixConn
	listen []*os.File // the agent's sockets
	agent  *serving

	mu    sync.Mutex // guards below
	kept  map[string][]*os.File
	ready int // READY=1 so far
	fed   int // WATCHDOG=1 so far
	more  *sync.Cond
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{t: t, dir: shortDir(t), shim: buildShim(t), kept: map[string][]*os.File{}}
	m.more = sync.NewCond(&m.mu)
	m.socket = filepath.Join(m.dir, "agent")
	var err error
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "notify"), Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"agent", "control", "upgrade"} {
		network := "unix"
		if name == "upgrade" {
			network = "unixpacket"
		}
		l, err := net.ListenUnix(network, &net.UnixAddr{Name: filepath.Join(m.dir, name), Net: network})
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		m.listen = append(m.listen, file)
	}
	go m.hear()
	t.Cleanup(m.close)
	return m
}

func (m *manager) close() {
	_ = m.notify.Close()
	for _, file := range m.listen {
		_ = file.Close()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, files := range m.kept {
		for _, file := range files {
			_ = file.Close()
		}
	}
}

// hear reads what agents say until the end.
func (m *manager) hear() {
	text, control := make([]byte, 4096), make([]byte, 512)
	for {
		n, oob, _, _, err := m.notify.ReadMsgUnix(text, control)
		if err != nil {
			return
		}
		m.heard(string(text[:n]), receivedFiles(control[:oob]))
	}
}

func receivedFiles(control []byte) []*os.File {
	var files []*os.File
	messages, _ := unix.ParseSocketControlMessage(control)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "kept"))
		}
	}
	return files
}

func (m *manager) heard(text string, files []*os.File) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := ""
	lines := strings.Split(text, "\n")
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = value
		}
	}
	for _, line := range lines {
		switch line {
		case "FDSTORE=1":
			m.kept[name] = append(m.kept[name], files...)
			files = nil
		case "FDSTOREREMOVE=1":
			for _, file := range m.kept[name] {
				_ = file.Close()
			}
			delete(m.kept, name)
		case "READY=1":
			m.ready++
		case "WATCHDOG=1":
			m.fed++
		}
	}
	for _, file := range files { // a barrier's pipe
		_ = file.Close()
	}
	m.more.Broadcast()
}

// await waits until a count of what was heard is as wanted.
func (m *manager) await(what string, reached func() bool) {
	m.t.Helper()
	late := false
	timer := time.AfterFunc(agentDeadline, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		late = true
		m.more.Broadcast()
	})
	defer timer.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !reached() {
		if late {
			m.t.Fatalf("%s: it does not come; the agent's log:\n%s", what, m.agent.log)
		}
		m.more.Wait()
	}
}

// start starts an agent with everything that is kept, and waits until it is ready.
func (m *manager) start(flags ...string) {
	m.t.Helper()
	m.mu.Lock()
	names := []string{"agent", "control", "upgrade"}
	files := append([]*os.File(nil), m.listen...)
	for name, kept := range m.kept {
		for _, file := range kept {
			names, files = append(names, name), append(files, file)
		}
	}
	ready := m.ready
	m.mu.Unlock()
	argv := append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, m.shim, "serve", "--socket", m.socket, "--log-level", "info"}, flags...)
	s := &serving{t: m.t, socket: m.socket, log: newWatchedLog(), cmd: exec.Command("/bin/sh", argv...)}
	s.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(m.dir, "notify"),
		fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	s.cmd.ExtraFiles = files
	s.cmd.Stderr = s.log.pipe(m.t)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	_ = s.cmd.Stderr.(*os.File).Close()
	m.agent = s
	m.t.Cleanup(s.stop)
	m.await("READY=1", func() bool { return m.ready > ready })
}

// kill ends the agent as a crash would.
func (m *manager) kill() {
	m.t.Helper()
	if err := m.agent.cmd.Process.Kill(); err != nil {
		m.t.Fatal(err)
	}
	if err := m.agent.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		m.t.Errorf("the agent ended with %v before it was killed:\n%s", err, m.agent.log)
	}
}

// control is the agent's control socket.
func (m *manager) control() string { return filepath.Join(m.dir, "control") }
