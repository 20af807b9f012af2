package agent

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Socket is a listening unix socket that belongs to its owner alone, and to one agent:
// a lock beside it tells a socket that a dead agent left from one in use.
type Socket struct {
	*net.UnixListener
	path string
	lock *os.File
}

// OpenSocket makes the socket, in the place of one that a dead agent left.
func OpenSocket(path string) (*Socket, error) { return openSocket(path, unix.SOCK_STREAM) }

func openSocket(path string, kind int) (*Socket, error) {
	lock, err := takeLock(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open socket %s: %w", path, err)
	}
	listener, err := listenAlone(path, kind)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("open socket %s: %w", path, err)
	}
	return &Socket{listener, path, lock}, nil
}

// AdoptSocket takes a listening socket from whoever started us: systemd, or an agent
// that this one replaces. It takes ownership of the file.
func AdoptSocket(file *os.File) (*Socket, error) {
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("take over socket %s: %w", file.Name(), err)
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("take over socket %s: not a unix socket", file.Name())
	}
	listener.SetUnlinkOnClose(false)
	return &Socket{UnixListener: listener}, nil
}

// Leave stops listening and leaves the socket to whoever has another descriptor of it.
func (s *Socket) Leave() {
	_ = s.UnixListener.Close()
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

// Close stops listening, and removes what OpenSocket made.
func (s *Socket) Close() error {
	err := s.UnixListener.Close()
	if s.lock != nil {
		_ = os.Remove(s.path)
		_ = os.Remove(s.path + ".lock")
		_ = s.lock.Close()
	}
	return err
}

// takeLock locks a file that goes away with the lock: who has opened it meanwhile finds
// that it is not the one that stands there any more, and looks again.
func takeLock(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, err
		}
		switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case errors.Is(err, unix.EWOULDBLOCK):
			_ = file.Close()
			return nil, errors.New("another agent serves it: stop that one, or take over from it with --upgrade")
		case err != nil:
			_ = file.Close()
			return nil, os.NewSyscallError("flock", err)
		}
		ours, err := file.Stat()
		if err != nil {
			_ = file.Close()
			return nil, err
		}
		if there, err := os.Lstat(path); err == nil && os.SameFile(ours, there) {
			return file, nil
		}
		_ = file.Close()
	}
}

// listenAlone binds a socket that nobody else may connect to, not even for a moment: the
// mode that a socket has when it is bound is its file's (net/unix/af_unix.c,
// unix_bind_bsd). Precondition: the lock is held.
func listenAlone(path string, kind int) (*net.UnixListener, error) {
	if err := removeSocket(path, kind); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	if err := unix.Fchmod(fd, 0o600); err != nil {
		return nil, os.NewSyscallError("fchmod", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	listener := l.(*net.UnixListener) // by the family that was asked for
	listener.SetUnlinkOnClose(false)
	return listener, nil
}

// removeSocket clears the place of a socket that nobody listens on. Anything else that
// stands there stays, and so does the socket of somebody who takes no lock.
func removeSocket(path string, kind int) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("something that is not a socket stands there")
	}
	network := "unix"
	if kind == unix.SOCK_SEQPACKET {
		network = "unixpacket"
	}
	conn, err := net.Dial(network, path)
	if err == nil {
		_ = conn.Close()
		return errors.New("another program listens on it")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
