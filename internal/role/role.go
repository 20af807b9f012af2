// Package role is how this program executes itself for a part of its work: what the parts
// are called, how their processes are started, and how these talk to who has started them.
//
// Read role.go first.
package role

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Name is the first argument of a process of ours. No user types it.
type Name string

// The roles. Two of them are not in anybody's Table: what the front's package starts before the
// Go runtime is there, and what it starts at all, the others know nothing of.
const (
	Supervisor Name = "__supervise" // of run's front: COMMAND's parent
	Init       Name = "__init"      // of the pid namespace that COMMAND gets
	Tracer     Name = "__tracer"    // of COMMAND, under --backend ptrace
	Reader     Name = "__reader"    // of memory that may never answer
	Hopper     Name = "__hopper"    // of callers that make another call in the place of theirs
	Launcher   Name = "__launch"    // it becomes a command
)

// Table says what a program does in its roles.
type Table map[Name]func(args []string) error

// Take does the work of the role that args begin with, which are a process's arguments; not
// mine: they are a user's.
func (t Table) Take(args []string) (mine bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	serve := t[Name(args[0])]
	if serve == nil {
		return false, nil
	}
	return true, serve(args[1:])
}

// status is what a role has ended with, which has said why.
type status int

// Error implements error.
func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Ended is the error of a role that has ended with a status and said why.
func Ended(code int) error {
	if code == 0 {
		return nil
	}
	return status(code)
}

// StatusOf is what a role's process exits with.
func StatusOf(err error) int {
	var ended status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return int(ended)
	}
	return failed
}

// failed is the exit status of every error of ours.
const failed = 125

// Start is how a role's process is started.
type Start struct {
	Program string // its path; "": this executable
	Name    Name
	Words   []string
	Stderr  *os.File       // nil: none
	Files   []*os.File     // its descriptors from 3 on; those that are nil are left out
	Death   syscall.Signal // what it gets when the calling thread ends; 0: nothing
}

// Process starts it, in a group of its own: where there is no job control a supervisor is
// still in COMMAND's.
func (s Start) Process() (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	descriptors := []*os.File{null, null, null}
	if s.Stderr != nil {
		descriptors[2] = s.Stderr
	}
	for _, file := range s.Files {
		if file != nil {
			descriptors = append(descriptors, file)
		}
	}
	path := s.Program
	if path == "" {
		path = Self
	}
	return os.StartProcess(path, append([]string{"pidfd-shim", string(s.Name)}, s.Words...), &os.ProcAttr{
		Env: []string{}, Files: descriptors, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: s.Death},
	})
}

// Self is this executable.
const Self = "/proc/self/exe"

// Socket is the first of Files, in the process that was started.
const Socket = 3

// Settle makes this a process that is not traced, and returns its socket.
func Settle() *os.File {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	return os.NewFile(Socket, "parent")
}
