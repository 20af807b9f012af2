package agent

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A socket that has been handed over is one for two: were it made to block, an accept that
// the old agent begins afterwards would not end when that one lets go of it (seen: a race
// between the hand-over and awaitSuccessors).
func TestHandedOverSocketDoesNotBlock(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenUpgrade(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range pair {
		file := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ends[i] = c.(*net.UnixConn)
	}
	file, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := sendMessage(ends[0], messageLabel{Kind: "socket"}, file, s.lock); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	if _, _, _, _, err := ends[1].ReadMsgUnix(make([]byte, 100), make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	if err := raw.Control(func(fd uintptr) { flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("the socket blocks: flags %#x, %v", flags, err)
	}
	s.Leave()
}
