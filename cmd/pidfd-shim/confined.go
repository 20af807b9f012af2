package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/confine"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// procfsVariable has the number of the descriptor by which serve, executed again without
// privileges, finds the procfs that it mounted with them; "none" if it could not.
const procfsVariable = "PIDFD_SHIM_PROCFS"

// confine gives up what serve does not need. Capabilities are a thread's own, and the
// runtime has started others by now: so the main thread gives up its own and executes
// this program again, which ends the others and has those that come start with what the
// main thread has. The process stays the same, with its number, descriptors and
// environment; nothing has been opened by then but procfs, for which it takes privileges.
func (c *serveConfig) confine() error {
	if c.KeepPrivileges {
		return nil
	}
	name, found := os.LookupEnv(procfsVariable)
	_ = os.Unsetenv(procfsVariable)
	if !found {
		return fmt.Errorf("give up privileges: %w; --keep-privileges does without", executeConfined(c.network()))
	}
	_ = os.WriteFile("/proc/self/comm", []byte(ownName()), 0) // it is "exe" by now
	switch s, err := confine.Of(os.Getpid()); {
	case err != nil:
		return err
	case !s.Confined():
		return fmt.Errorf("%s is set: it is for this program's own use", procfsVariable)
	case name == "none":
		return nil
	}
	fd, err := strconv.Atoi(name)
	if err == nil {
		c.procfs, err = proc.Inherit(fd)
	}
	return err
}

// network tells whether --metrics takes IP.
func (c *serveConfig) network() bool {
	return c.Metrics != "" && !strings.HasPrefix(c.Metrics, "unix:")
}

// executeConfined returns only with an error.
func executeConfined(network bool) error {
	own, err := proc.Open()
	if err != nil {
		return err
	}
	name := "none"
	if own.Detached() {
		fd, err := unix.FcntlInt(uintptr(own.FD()), unix.F_DUPFD, 3)
		if err != nil {
			return os.NewSyscallError("fcntl(F_DUPFD)", err)
		}
		name = strconv.Itoa(fd)
	}
	runSoon()
	if err := confine.Thread(network); err != nil {
		return err
	}
	err = syscall.Exec(role.Self, os.Args, append(os.Environ(), procfsVariable+"="+name))
	return &os.PathError{Op: "execute", Path: role.Self, Err: err}
}

// runSoon is what workers do for themselves where they may (shim.Urgency): an agent may not any
// more. Nor may one that systemd has started, whose unit says so.
func runSoon() {
	if now, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, max(20-now-shim.Urgency, -20)) // the raw call says 20 less it
	}
}

// ownName is what the kernel called this process when it was first executed.
func ownName() string {
	path, err := os.Executable()
	if err != nil {
		return "pidfd-shim"
	}
	return filepath.Base(path)
}

// explain adds the way out where it is likely that a right is lacking that root had.
func (c *serveConfig) explain(err error) error {
	if c.KeepPrivileges || os.Geteuid() != 0 || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return fmt.Errorf("%w (of root's rights over files and ports serve keeps that to read: --keep-privileges keeps all)", err)
}

// sayPrivileges logs what the agent may do, and what will not work for want of more.
func (c *serveConfig) sayPrivileges(ownProcfs bool, log *slog.Logger) {
	s, err := confine.Of(os.Getpid())
	if err != nil {
		log.Warn("cannot tell what the agent may do", "error", err)
		return
	}
	log.Info("privileges", "capabilities", strings.Join(confine.Names(s.Effective), " "), "confined", s.Confined())
	missing := s.Missing()
	for _, c := range confine.Capabilities {
		if c.AtStart && !ownProcfs {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return
	}
	var names, without []string
	for _, c := range missing {
		names, without = append(names, c.Name()), append(without, c.Without)
	}
	log.Warn("the agent lacks privileges: not everything will work", "missing", strings.Join(names, " "), "so", strings.Join(without, "; "))
}
