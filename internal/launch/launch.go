// Package launch starts a command under a filter whose listener another process serves: the
// process that is to become the command is first this program in a role of its own, which
// installs the filter, hands the listener over and executes the command. So it is the
// child of whoever started it, with its pid, its files and its signals, and nothing of ours is
// between them. It never answers a call.
//
// Read launch.go first.
package launch

import (
	"cmp"
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

	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/notify"
)

// orders are what the role is told.
type orders struct {
	Program  []unix.SockFilter `json:"program"`
	Killable bool              `json:"killable"`
	Path     string            `json:"path"`
	Args     []string          `json:"args"`
}

// answer is what the role says: that the listener comes with it, or what could not be done. The
// end of its socket says that the command is being executed.
type answer struct {
	Failed string `json:"failed,omitempty"`
}

// Start starts cmd, which has not been started, under a filter, and returns its listener. self
// is the path of an executable that comes to Become. Afterwards cmd is as after its own Start.
func Start(cmd *exec.Cmd, self string, program []unix.SockFilter, killable bool) (*os.File, error) {
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	ours, theirs, err := role.Pair("launcher")
	if err != nil {
		return nil, err
	}
	defer ours.Close()
	o := orders{Program: program, Killable: killable, Path: cmd.Path, Args: cmd.Args}
	files := cmd.ExtraFiles
	cmd.Path, cmd.Args = self, []string{"pidfd-shim", string(role.Launcher), strconv.Itoa(role.Socket + len(files))}
	cmd.ExtraFiles = append(append([]*os.File{}, files...), theirs.File)
	err = cmd.Start()
	cmd.Path, cmd.Args, cmd.ExtraFiles = o.Path, o.Args, files
	_ = theirs.Close()
	if err != nil {
		return nil, err
	}
	listener, err := o.hand(ours)
	if err != nil {
		_ = cmd.Wait() // it has ended: what it could not do it has said
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	return listener, nil
}

// hand gives the orders, takes the listener and waits until the command is being executed.
func (o *orders) hand(to role.Conn) (*os.File, error) {
	if err := to.Send(o); err != nil {
		return nil, err
	}
	var a answer
	fd, err := to.Receive(&a)
	if err != nil || fd < 0 {
		return nil, cmp.Or(err, errors.New(a.Failed))
	}
	listener := os.NewFile(uintptr(fd), "seccomp listener")
	if _, err = to.Receive(&a); errors.Is(err, io.EOF) { // the exec closes the other end
		return listener, nil
	}
	_ = listener.Close()
	return nil, cmp.Or(err, errors.New(a.Failed))
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
	parent := role.Conn{File: os.NewFile(uintptr(fd), "parent")}
	if err := become(parent); err != nil {
		_ = parent.Send(answer{err.Error()})
		return err
	}
	return nil
}

func become(parent role.Conn) error {
	var o orders
	if _, err := parent.Receive(&o); err != nil {
		return fmt.Errorf("read what to execute: %w", err)
	}
	// From the filter on this thread's calls are supervised: no collector may need one of it
	// (it interrupts threads by tgkill).
	debug.SetGCPercent(-1)
	runtime.GC()
	runtime.LockOSThread()
	listener, err := notify.InstallForAnother(o.Program, o.Killable)
	if err != nil {
		return err
	}
	err = parent.Send(answer{}, int(listener.Fd()))
	_ = listener.Close()
	if err != nil {
		return err
	}
	return os.NewSyscallError("execve "+o.Path, syscall.Exec(o.Path, o.Args, os.Environ()))
}
