// Package launch starts a command under a filter whose listener another process serves: the
// process that is to become the command is first this program in a role of its own, which
// installs the filter, hands the listener over and executes the command. So it is the
// child of whoever started it, with its pid, its files and its signals, and nothing of ours is
// between them. It never answers a call.
//
// Read launch.go first.
package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/notify"
)

// Role is the first argument by which this program knows that it is to become a command.
const Role = "__launch"

// orders are what the role is told over its socket.
type orders struct {
	Program  []unix.SockFilter `json:"program"`
	Killable bool              `json:"killable"`
	Path     string            `json:"path"`
	Args     []string          `json:"args"`
}

// Start starts cmd, which has not been started, under a filter, and returns its listener. self
// is the path of an executable that comes to Become. Afterwards cmd is as after its own Start.
func Start(cmd *exec.Cmd, self string, program []unix.SockFilter, killable bool) (*os.File, error) {
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "launcher"), os.NewFile(uintptr(pair[1]), "launcher")
	defer ours.Close()
	o := orders{Program: program, Killable: killable, Path: cmd.Path, Args: cmd.Args}
	files := cmd.ExtraFiles
	cmd.Path, cmd.Args = self, []string{"pidfd-shim", Role, strconv.Itoa(3 + len(files))}
	cmd.ExtraFiles = append(append([]*os.File{}, files...), theirs)
	err = cmd.Start()
	cmd.Path, cmd.Args, cmd.ExtraFiles = o.Path, o.Args, files
	_ = theirs.Close()
	if err != nil {
		return nil, err
	}
	listener, err := o.hand(ours)
	if err != nil {
		_ = cmd.Wait() // it has ended: what it could not do it has said
		return nil, err
	}
	return listener, nil
}

// hand gives the orders, takes the listener and waits until the command is being executed.
func (o *orders) hand(socket *os.File) (*os.File, error) {
	if err := json.NewEncoder(socket).Encode(o); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	text, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, _, listener, err := receive(socket, text, control)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	rest, err := io.ReadAll(socket) // up to the exec, which closes the other end
	if err == nil && len(rest) > 0 || n == 0 || listener == nil {
		err = errors.New(string(rest))
	}
	if err != nil {
		if listener != nil {
			_ = listener.Close()
		}
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	return listener, nil
}

func receive(socket *os.File, text, control []byte) (n, oob int, listener *os.File, err error) {
	for {
		n, oob, _, _, err = unix.Recvmsg(int(socket.Fd()), text, control, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil || oob == 0 {
		return n, oob, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:oob])
	if err != nil || len(messages) == 0 {
		return n, oob, nil, err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return n, oob, nil, err
	}
	return n, oob, os.NewFile(uintptr(fds[0]), "seccomp listener"), nil
}

// Become is the role: it ends by becoming the command, or with what could not be done,
// which it has also told its parent.
func Become(args []string) error {
	if len(args) != 1 {
		return errors.New("a launcher has one argument")
	}
	fd, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	unix.CloseOnExec(fd)
	socket := os.NewFile(uintptr(fd), "parent")
	if err := become(socket); err != nil {
		_, _ = socket.WriteString(err.Error())
		return err
	}
	return nil
}

func become(socket *os.File) error {
	var o orders
	if err := json.NewDecoder(socket).Decode(&o); err != nil {
		return fmt.Errorf("read what to execute: %w", err)
	}
	// From the filter on this thread's calls are supervised: no collector may need one of it
	// (it interrupts threads by tgkill).
	debug.SetGCPercent(-1)
	runtime.GC()
	runtime.LockOSThread()
	listener, err := notify.InstallForAnother(o.Program, o.Killable)
	if err != nil {
		return sayWithout(socket, err)
	}
	err = unix.Sendmsg(int(socket.Fd()), []byte{0}, unix.UnixRights(int(listener.Fd())), nil, 0)
	_ = listener.Close()
	if err != nil {
		return os.NewSyscallError("sendmsg", err)
	}
	return os.NewSyscallError("execve "+o.Path, syscall.Exec(o.Path, o.Args, os.Environ()))
}

// sayWithout keeps the order of messages: a byte comes first, here without a listener.
func sayWithout(socket *os.File, err error) error {
	_, _ = socket.Write([]byte{0})
	return err
}
