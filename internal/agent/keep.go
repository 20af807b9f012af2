package agent

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Keeper keeps descriptors for us while we are dead: systemd's descriptor store
// (sd_notify(3), FDSTORE), or who speaks like it. A nil Keeper keeps nothing.
type Keeper struct{ socket string }

// NewKeeper finds the one that this process was started with, and takes it out of the
// environment; nil if there is none.
func NewKeeper() *Keeper {
	socket := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	return &Keeper{socket}
}

// barrierPatience is how long the keeper may take to say that it has read a message.
const barrierPatience = 5 * time.Second

// Keep stores files under a name, and returns when the keeper has them: what is sent by
// a process that has died before it was read is thrown away.
func (k *Keeper) Keep(name string, files ...*os.File) error {
	if k == nil {
		return nil
	}
	if err := k.Tell("FDSTORE=1\nFDNAME="+name, files...); err != nil {
		return err
	}
	return k.barrier()
}

// Forget lets go of a name's files.
func (k *Keeper) Forget(name string) {
	if k != nil {
		_ = k.Tell("FDSTOREREMOVE=1\nFDNAME=" + name) // else it stays with a dead listener, which the next start finds
	}
}

// barrier sends a pipe's end and waits until the keeper has closed it: it has then read
// all that came before.
func (k *Keeper) barrier() error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a barrier: %w", err)
	}
	defer read.Close()
	err = k.Tell("BARRIER=1", write)
	_ = write.Close()
	if err != nil {
		return err
	}
	_ = read.SetReadDeadline(time.Now().Add(barrierPatience))
	if _, err := read.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("wait for the descriptor store: %w", err)
	}
	return nil
}

// Tell sends a message as sd_notify does.
func (k *Keeper) Tell(text string, files ...*os.File) error {
	if k == nil {
		return nil
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", os.NewSyscallError("socket", err))
	}
	socket := os.NewFile(uintptr(fd), k.socket)
	defer socket.Close()
	patience := unix.NsecToTimeval(barrierPatience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience); err != nil {
		return fmt.Errorf("tell the service manager: %w", os.NewSyscallError("setsockopt", err))
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	// A name that begins with "@" is an abstract one, for sendmsg here as for systemd.
	if err := unix.Sendmsg(fd, []byte(text), rights, &unix.SockaddrUnix{Name: k.socket}, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("tell the service manager: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}
