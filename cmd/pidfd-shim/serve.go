package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

const serveLong = `serve is the seccomp agent that runtimes hand their listeners to: set PATH as
linux.seccomp.listenerPath of a container's profile, and SCMP_ACT_NOTIFY for
pidfd_send_signal. Each container is served until its last process has ended.

The profile's listenerMetadata may choose one of the operator's policies: policy=NAME
on a line of its own, or {"policy": "NAME"}. NAME is the file NAME.yaml of --policy-dir.
SIGHUP reads policies again and opens the audit file anew; a bad policy leaves the old
one in force. SIGTERM ends the agent: from then on the call gets ENOSYS in containers,
which go on.

At its start it gives up root's rights but for CAP_KILL, CAP_SYS_PTRACE and
CAP_DAC_READ_SEARCH, in each thread and helper, and has the kernel refuse it system
calls that it does not make (mount, modules, bpf, ...). "doctor" lists them with reasons,
"doctor --control PATH" says what a running agent has.`

const serveExample = `  pidfd-shim serve --socket /run/pidfd-shim/agent.sock
  pidfd-shim serve --socket PATH --policy-dir /etc/pidfd-shim/policies --default-policy base`

// serveConfig is what serve's flags come to.
type serveConfig struct {
	logging
	Session        supervisor.Options
	Socket         string
	PeerUID        uint32
	PolicyDir      string
	DefaultPolicy  string
	UnknownPolicy  string
	Audit          string
	Metrics        string
	Control        string
	Upgrade        bool
	MaxConnections int
	MaxListeners   int

	KeepPrivileges bool
	procfs         *proc.FS // from before privileges were given up; nil: none
}

func newServeCommand() *cobra.Command {
	var c serveConfig
	cmd := &cobra.Command{
		Use:     "serve --socket PATH [flags]",
		Short:   "Serve container runtimes as their seccomp agent",
		Long:    serveLong,
		Example: serveExample,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return c.serve() },
	}
	f := cmd.Flags()
	f.StringVar(&c.Socket, "socket", "", "listen here for hand-overs: `PATH` of a unix socket, the profile's listenerPath")
	f.Uint32Var(&c.PeerUID, "peer-uid", 0, "a `UID` whose processes may hand over, besides root's: of a rootless runtime")
	f.StringVar(&c.PolicyDir, "policy-dir", "", "the policies that containers may ask for are NAME.yaml in `DIR`")
	f.StringVar(&c.DefaultPolicy, "default-policy", "", "`NAME` or file of the policy of containers that ask for none; allow all without")
	f.StringVar(&c.UnknownPolicy, "unknown-policy", "deny", "what a container gets that asks for a policy that does not exist: "+words(unknownPolicies))
	f.BoolVar(&c.Session.Complain, "complain", false, "allow what policies deny, and count and write it down as verdict log: to try them before they bite")
	f.StringVar(&c.Session.Mode, "mode", "auto", "how calls are answered: "+words(supervisor.Modes)+"; auto takes the cheapest that is exact")
	f.StringVar(&c.Session.Semantics, "semantics", "native", "the rules that containers meet: "+words(supervisor.Semantics))
	f.StringVar(&c.Audit, "audit", "", "append one JSON object a call to `FILE`")
	f.StringVar(&c.Metrics, "metrics", "", "serve /metrics for Prometheus and /healthz on `HOST:PORT` or unix:PATH")
	f.StringVar(&c.Control, "control", "", "`PATH` of the unix socket where \"pidfd-shim ps\" asks; SOCKET.control without")
	f.BoolVar(&c.KeepPrivileges, "keep-privileges", false, "keep all capabilities and refuse no system call: for files of --audit and sockets in folders "+
		"that belong to other users than root, and for --metrics ports below 1024")
	f.BoolVar(&c.Upgrade, "upgrade", false, "take everything over from the agent that serves --socket, and have it end: no call is lost")
	f.IntVar(&c.MaxListeners, "max-listeners", 0, "how many listeners are served at most: one a container, one more for each exec that runs; 0: 4096")
	f.IntVar(&c.MaxConnections, "max-connections", 0, "how many hand-overs may be under way; the oldest makes room; 0: 256")
	c.addFlags(cmd, "warn")
	addPauseSwitch(cmd)
	completeFlag(cmd, "mode", supervisor.Modes)
	completeFlag(cmd, "semantics", supervisor.Semantics)
	completeFlag(cmd, "unknown-policy", unknownPolicies)
	completeDir(cmd, "policy-dir")
	return cmd
}

var unknownPolicies = []string{"deny", "default"}

func (c *serveConfig) check() error {
	switch {
	case c.Socket == "":
		return usageError{fmt.Errorf("serve: --socket PATH is needed: the listenerPath of the containers' profile")}
	case !slices.Contains(unknownPolicies, c.UnknownPolicy):
		return usageError{fmt.Errorf("--unknown-policy %s: no such value, it takes %s", c.UnknownPolicy, words(unknownPolicies))}
	}
	if c.Control == "" {
		c.Control = c.Socket + ".control"
	}
	c.Session.Backend = supervisor.BackendNotify
	if err := c.Session.Check(); err != nil {
		return usageError{err}
	}
	return c.logging.check()
}

func (c *serveConfig) serve() error {
	if err := c.check(); err != nil {
		return err
	}
	if err := c.confine(); err != nil {
		return err
	}
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // its comm could not be written any more, but by root
	signal.Ignore(syscall.SIGPIPE)
	d, err := c.open()
	if err != nil {
		return c.explain(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return errors.Join(d.run(ctx), d.close())
}
