package agent

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenSocketIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s, err := OpenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v: want a socket with mode 0600", info, err)
	}
	if _, err := OpenSocket(path); err == nil || !strings.Contains(err.Error(), "another agent serves it") {
		t.Errorf("a second agent: %v", err)
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("after a second agent was refused: %v", err)
	} else {
		conn.Close()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestOpenSocketReplacesADeadAgents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := OpenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestOpenSocketLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, name := range []string{"file", "link", "other"} {
		if s, err := OpenSocket(filepath.Join(dir, name)); err == nil {
			s.Close()
			t.Errorf("%s was replaced", name)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if s, err := OpenSocket(filepath.Join(dir, strings.Repeat("x", 120))); err == nil {
		s.Close()
		t.Error("a path that no socket can have was opened")
	}
}
