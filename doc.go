// Package pidfdshim supervises the calls by which processes signal each other: it stands
// between a command, or a container, and pidfd_send_signal(2), and if a policy names
// them kill(2) and its relatives. Each call is decided by a policy, by the kernel's own
// rules, or by handlers of the program that embeds it, and then passed to the kernel,
// carried out by the caller itself, or forwarded through a handle that cannot come to
// mean another process.
//
// # Supervising a command
//
// A program that embeds the library calls Main first: parts of the work are done by
// further processes of the same executable.
//
//	func main() {
//		pidfdshim.Main()
//		policy, err := pidfdshim.ParsePolicy("own", []byte(rules))
//		...
//		shim, err := pidfdshim.New(pidfdshim.Options{Policy: policy})
//		...
//		defer shim.Close()
//		cmd := exec.Command("make", "test")
//		served, err := shim.Start(cmd)
//		...
//		err = cmd.Wait()   // as without
//		err = served.Wait() // until nobody whom it started is left
//	}
//
// The command is the child of the embedding process, which waits for it as for any
// other. Everything that it starts is supervised, too. Should the embedding process end
// first, supervised calls fail with ENOSYS from then on, and nothing opens.
//
// # Serving a listener
//
// Serve answers the calls of a seccomp listener that another program has installed and handed
// over, as container runtimes do (linux.seccomp.listenerPath).
//
// # What it takes
//
// Linux on x86-64 with seccomp user notification (5.0; 5.5 to let the kernel run calls by
// itself). Without privilege the command cannot gain any: no_new_privs is set. With a policy
// about targets the embedding process needs to trace what it supervises (the same uid, or
// CAP_SYS_PTRACE). The command line `pidfd-shim run` does more: it serves kernels without
// notification by ptrace, and survives in a process of its own; see docs/ARCHITECTURE.md.
//
// The names of this package are a promise: they change with the major version alone.
package pidfdshim
