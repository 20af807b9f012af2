// Package pty is the user of a pseudo-terminal: what tests type there, and what they then read.
package pty

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal with a session in it.
type Terminal struct {
	T        testing.TB
	Master   *os.File
	Cmd      *exec.Cmd // who leads the session
	deadline time.Duration
	seen     []byte // output that Until has not consumed
}

// Start starts cmd as the leader of a session on a new terminal. Each wait for output, and the
// whole of the session's life where patience is above 0, has its deadline. What the test leaves
// is ended after it.
func Start(t testing.TB, deadline, patience time.Duration, cmd *exec.Cmd) *Terminal {
	t.Helper()
	master, slave, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	t.Cleanup(func() { _ = master.Close() })
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() bool { return true }
	if patience > 0 {
		stop = time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Process.Kill() // nothing where it has been waited for
		_ = cmd.Wait()
	})
	return &Terminal{T: t, Master: master, Cmd: cmd, deadline: deadline}
}

func open() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	number := -1
	_ = raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

// The keys that have a signal, or an end of file.
const CtrlC, CtrlD, CtrlZ, CtrlBackslash = "\x03", "\x04", "\x1a", "\x1c"

// Type types keys.
func (term *Terminal) Type(keys string) {
	term.T.Helper()
	if _, err := term.Master.WriteString(keys); err != nil {
		term.T.Fatal(err)
	}
}

// Until reads until want, and returns what came before it.
func (term *Terminal) Until(want string) (before string) {
	term.T.Helper()
	_ = term.Master.SetReadDeadline(time.Now().Add(term.deadline))
	for buffer := make([]byte, 4096); ; {
		if i := bytes.Index(term.seen, []byte(want)); i >= 0 {
			before = string(term.seen[:i])
			term.seen = term.seen[i+len(want):]
			return before
		}
		n, err := term.Master.Read(buffer)
		if err != nil {
			term.T.Fatalf("want %q: %v, after %q", want, err, term.seen)
		}
		term.seen = append(term.seen, buffer[:n]...)
	}
}

// Line is what follows want in its line.
func (term *Terminal) Line(want string) string {
	term.T.Helper()
	term.Until(want)
	return strings.TrimSpace(term.Until("\n"))
}

// Seen is the output that has been read and not asked for.
func (term *Terminal) Seen() string { return string(term.seen) }
