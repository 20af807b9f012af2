package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/agent"
)

// keptListener is a listener that the descriptor store has, and the memory of its calls.
type keptListener struct {
	name             string
	listener, memory *os.File
}

// inherited sorts what systemd gives us: the sockets that it listens on for us, and what
// an agent before this one had it keep.
func (d *daemon) inherited() ([]keptListener, error) {
	var kept []keptListener
	for name, files := range givenFiles() {
		switch {
		case !strings.HasPrefix(name, "c-"):
			if err := d.inheritSocket(name, files); err != nil {
				return nil, err
			}
		case len(files) == 2:
			k := keptListener{name, files[0], files[1]}
			if isMemory(k.listener) {
				k.listener, k.memory = k.memory, k.listener
			}
			kept = append(kept, k)
		default: // its listener has hung up meanwhile, and systemd has let go of it
			for _, file := range files {
				_ = file.Close()
			}
			d.keeper.Forget(name)
		}
	}
	return kept, nil
}

// firstGiven is SD_LISTEN_FDS_START (sd_listen_fds(3)).
const firstGiven = 3

// givenFiles are the descriptors that systemd has passed to this process, by name: those of
// package activation, which brings crypto/tls to each start of ours. They are told once.
func givenFiles() map[string][]*os.File {
	pid, n, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(name)
	}
	count, err := strconv.Atoi(n)
	if err != nil || pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	given := map[string][]*os.File{}
	known := strings.Split(names, ":")
	for i := range count {
		name := "unknown" // as sd_listen_fds_with_names(3) has it
		if i < len(known) && known[i] != "" {
			name = known[i]
		}
		unix.CloseOnExec(firstGiven + i)
		given[name] = append(given[name], os.NewFile(uintptr(firstGiven+i), name))
	}
	return given
}

func (d *daemon) inheritSocket(name string, files []*os.File) error {
	for _, known := range []string{socketControl, socketUpgrade} {
		if strings.Contains(name, known) {
			name = known
		}
	}
	if name != socketControl && name != socketUpgrade {
		name = socketAgent
	}
	if len(files) > 1 || d.sockets[name] != nil {
		return fmt.Errorf("take over sockets from systemd: more than one is the %s socket: set FileDescriptorName=", name)
	}
	s, err := agent.AdoptSocket(files[0])
	if err != nil {
		return err
	}
	d.sockets[name] = s
	return nil
}

// isMemory tells a memory of calls from a listener, which has no size.
func isMemory(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Size() > 0
}

// takeOver has the running agent hand everything over.
func (d *daemon) takeOver() error {
	i, err := agent.Inherit(d.config.Socket + ".upgrade")
	if err != nil {
		return err
	}
	if err := i.Accept(d.Agent); err != nil {
		return err
	}
	for name, s := range i.Sockets {
		d.sockets[name] = s
	}
	return nil
}

// awaitSuccessors accepts agents that want to replace this one.
func awaitSuccessors(socket *agent.Socket, successors chan<- *net.UnixConn) error {
	for {
		conn, err := socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for a new agent: %w", err)
		}
		successors <- conn
	}
}

// handOver gives everything to a new agent, or goes on if that fails.
func (d *daemon) handOver(conn *net.UnixConn) bool {
	defer conn.Close()
	d.Stop()
	err := d.HandOver(conn, d.sockets)
	if err == nil {
		d.log.Warn("another agent has taken over")
		d.replaced = true
		return true
	}
	d.log.Error("no other agent took over: going on", "error", err)
	if err := d.Resume(); err != nil {
		d.ended <- err
		return false
	}
	d.serveAgent()
	return false
}

// tell tells the service manager, if there is one.
func (d *daemon) tell(state string) {
	if err := d.keeper.Tell(state); err != nil {
		d.log.Error("the service manager cannot be told", "state", state, "error", err)
	}
}

// watchdogTicks come twice in the time after which systemd takes us for dead; never
// without a watchdog.
func (d *daemon) watchdogTicks() <-chan time.Time {
	interval, err := systemd.SdWatchdogEnabled(true)
	if err != nil || interval <= 0 {
		return nil
	}
	return time.Tick(interval / 2)
}
