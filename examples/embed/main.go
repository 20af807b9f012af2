// Command embed supervises a command with a policy from memory, an observer, and a handler
// for a call that the library does not know.
package main

import (
	"fmt"
	"os"
	"os/exec"

	pidfdshim "github.com/pidfd-shim/pidfd-shim"
	"github.com/pidfd-shim/pidfd-shim/arch"
)

const rules = `
version: 1
syscalls: [pidfd_send_signal, kill]
default: deny
rules:
  - {name: own, action: allow, match: {target: {relation: [self, child]}}}
`

func main() {
	pidfdshim.Main()
	policy, err := pidfdshim.ParsePolicy("rules", []byte(rules))
	check(err)
	shim, err := pidfdshim.New(pidfdshim.Options{
		Policy:   policy,
		Observer: pidfdshim.ObserverFunc(func(e pidfdshim.Event) { fmt.Println(e.Syscall, e.Signal, e.Denied, e.Errno) }),
		Handlers: map[pidfdshim.Number]pidfdshim.Handler{
			{ABI: arch.AMD64, Nr: 110}: func(*pidfdshim.Call) pidfdshim.Verdict { return pidfdshim.Return(1) }, // getppid
		},
	})
	check(err)
	cmd := exec.Command("sh", "-c", os.Args[1])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	served, err := shim.Start(cmd)
	check(err)
	check(cmd.Wait())
	check(served.Wait())
	check(shim.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "embed:", err)
		os.Exit(1)
	}
}
