package pidfdshim

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/launch"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// self is how this executable executes itself again.
const self = "/proc/self/exe"

// Main does the work of a process that the library itself has started, and does not
// return from it; in any other process it returns at once. A program that embeds the library
// calls it first thing in main.
func Main() {
	if len(os.Args) < 2 {
		return
	}
	var err error
	switch os.Args[1] {
	case launch.Role:
		err = launch.Become(os.Args[2:])
	case supervisor.RoleReader, supervisor.RoleHopper:
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
		err = supervisor.ServeRole(os.Args[1], os.NewFile(helperSocket, "supervisor"))
	default:
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pidfd-shim: %v\n", err)
		os.Exit(125)
	}
	os.Exit(0)
}

// helperSocket is a helper's end of its socket pair.
const helperSocket = 3

// startHelper starts this executable in a role, with nothing but the socket and in a
// process group of its own.
func startHelper(role string, socket *os.File) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return os.StartProcess(self, []string{"pidfd-shim", role}, &os.ProcAttr{
		Env: []string{}, Files: []*os.File{null, null, null, socket}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}
