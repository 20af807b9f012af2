package pidfdshim

import (
	"fmt"
	"maps"
	"os"

	"github.com/pidfd-shim/pidfd-shim/internal/launch"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// Main does the work of a process that the library itself has started, and does not
// return from it; in any other process it returns at once. A program that embeds the library
// calls it first thing in main.
func Main() {
	roles := role.Table{role.Launcher: launch.Become}
	maps.Copy(roles, supervisor.Helpers(nil, nil))
	mine, err := roles.Take(os.Args[1:])
	if !mine {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "pidfd-shim: %v\n", err)
	}
	os.Exit(role.StatusOf(err))
}

// startHelper starts this executable in a role, with nothing but the socket.
func startHelper(name role.Name, socket *os.File) (*os.Process, error) {
	return role.Start{Name: name, Files: []*os.File{socket}}.Process()
}
