package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// runtimes are Debian's; `scripts/deps.sh test` installs both.
var runtimes = []string{"runc", "crun"}

// container is a bundle that a runtime runs. Its files are static programs and nothing
// else, so it can be made anywhere.
type container struct {
	t       *testing.T
	runtime string
	id      string
	dir     string
	spec    *specs.Spec
}

// firstMapped is the host's id of root in a container with a user namespace.
const firstMapped = 100000

var containerCount atomic.Uint32

// newContainer makes a bundle with the programs as files of its root directory.
func newContainer(t *testing.T, runtime string, userns bool, programs ...string) *container {
	t.Helper()
	if _, err := exec.LookPath(runtime); err != nil {
		skip.If(t, err)
	}
	c := &container{
		t: t, runtime: runtime, dir: t.TempDir(),
		id: fmt.Sprintf("shim-%d-%d", os.Getpid(), containerCount.Add(1)),
	}
	root := filepath.Join(c.dir, "rootfs")
	for _, dir := range []string{"", "proc", "dev", "tmp"} {
		c.must(os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, program := range programs {
		copyProgram(t, program, filepath.Join(root, filepath.Base(program)))
	}
	c.spec = baseSpec()
	if userns {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: firstMapped, Size: 65536}}
		c.spec.Linux.Namespaces = append(c.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		c.spec.Linux.UIDMappings, c.spec.Linux.GIDMappings = ids, ids
		for dir := c.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) { // t.TempDir is its owner's alone
			c.must(os.Chmod(dir, 0o755))
		}
	}
	t.Cleanup(func() { _ = c.command("delete", "--force", c.id).Run() })
	return c
}

func (c *container) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func baseSpec() *specs.Spec {
	caps := ourCapabilities()
	return &specs.Spec{
		Version: "1.0.2",
		Process: &specs.Process{
			Cwd: "/", Env: []string{"PATH=/"},
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps, Inheritable: caps},
		},
		Root: &specs.Root{Path: "rootfs"},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs"},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
		}},
	}
}

// ourCapabilities are what rows use, as far as this process may hand them on.
func ourCapabilities() []string {
	wanted := map[string]uintptr{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "CAP_KILL": unix.CAP_KILL,
		"CAP_SETGID": unix.CAP_SETGID, "CAP_SETUID": unix.CAP_SETUID, "CAP_SETPCAP": unix.CAP_SETPCAP,
		"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_SYS_PTRACE": unix.CAP_SYS_PTRACE, "CAP_SYS_RESOURCE": unix.CAP_SYS_RESOURCE,
	}
	var names []string
	for name, number := range wanted {
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, number, 0, 0, 0); err == nil && has == 1 {
			names = append(names, name)
		}
	}
	return names
}

// notify puts the container under an agent. more are calls that the profile notifies of
// besides, and says so.
func (c *container) notify(socket, metadata string, more ...string) {
	if len(more) > 0 {
		metadata += "\nnotifies=" + strings.Join(more, ",")
	}
	c.spec.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		ListenerPath:  socket, ListenerMetadata: metadata,
		Syscalls: []specs.LinuxSyscall{{Names: append([]string{"pidfd_send_signal"}, more...), Action: specs.ActNotify}},
	}
}

// command is one of the runtime's subcommands. crun takes a hybrid hierarchy of control
// groups for a mistake, so it does not get to see one.
func (c *container) command(words ...string) *exec.Cmd {
	return c.commandContext(context.Background(), words...)
}

func (c *container) commandContext(ctx context.Context, words ...string) *exec.Cmd {
	state := filepath.Join(c.dir, "state")
	return c.apart(ctx, append([]string{c.runtime, "--root", state}, words...)...)
}

// apart is a command with mounts of its own.
func (c *container) apart(ctx context.Context, words ...string) *exec.Cmd {
	const hide = `mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified; exec "$@"`
	argv := append([]string{"unshare", "-m", "sh", "-c", hide, "sh"}, words...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = c.dir
	return cmd
}

// write writes config.json, for a program and its arguments.
func (c *container) write(argv ...string) {
	c.t.Helper()
	c.spec.Process.Args = argv
	text, err := json.Marshal(c.spec)
	c.must(err)
	c.must(os.WriteFile(filepath.Join(c.dir, "config.json"), text, 0o644))
}

// run runs a program as the container's init and returns what it prints.
func (c *container) run(argv ...string) string {
	c.t.Helper()
	c.write(argv...)
	return c.output("run", "--bundle", c.dir, c.id)
}

func (c *container) output(words ...string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), runDeadline)
	defer cancel()
	return c.outputOf(ctx, c.commandContext(ctx, words...))
}

func (c *container) outputOf(ctx context.Context, cmd *exec.Cmd) string {
	c.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || ctx.Err() != nil {
		c.t.Fatalf("%s: %v %v\n%s%s", shellLine(cmd.Args), err, ctx.Err(), tail(stdout.String(), 2000), stderr.String())
	}
	return stdout.String()
}

// tail is the end of a text.
func tail(text string, most int) string { return text[max(0, len(text)-most):] }

// rows runs the truth suite in a fresh container.
func (c *container) rows(argv ...string) []row {
	c.t.Helper()
	rows, err := parseRows(c.run(argv...))
	c.must(err)
	return rows
}

// execIn starts the container with an init that waits, executes a program in it, and
// returns what that prints.
func (c *container) execIn(argv ...string) string {
	c.t.Helper()
	c.write("/container-init")
	cmd := c.command("run", "--bundle", c.dir, c.id)
	stdin, err := cmd.StdinPipe()
	c.must(err)
	log := newWatchedLog()
	cmd.Stdout = log.pipe(c.t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	c.must(cmd.Start())
	_ = cmd.Stdout.(*os.File).Close()
	log.await(c.t, "ready")
	out := c.output(append([]string{"exec", c.id}, argv...)...)
	_ = stdin.Close()
	if err := cmd.Wait(); err != nil {
		c.t.Errorf("%s: the container's init: %v %s", c.runtime, err, stderr.String())
	}
	return out
}

// buildInit compiles the program that containers wait in.
func buildInit(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), "container-init")
	if out, err := exec.Command("gcc", "-static", "-O1", "-Wall", "-o", bin, "container/init.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}
