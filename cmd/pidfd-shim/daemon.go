package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/fsnotify/fsnotify"

	"github.com/pidfd-shim/pidfd-shim/internal/agent"
	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/internal/metrics"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/internal/web"
)

// daemon is a running serve.
type daemon struct {
	*agent.Agent
	config   *serveConfig
	policies *agent.Policies
	calls    *metrics.Calls
	lines    *audit.Writer // nil without --audit
	log      *slog.Logger

	sockets map[string]*agent.Socket
	scraped net.Listener // nil without --metrics
	keeper  *agent.Keeper
	ended   chan error

	replaced bool // another agent serves now
}

func (c *serveConfig) open() (*daemon, error) {
	d := &daemon{
		config: c, calls: newMetrics(), log: c.logger(), sockets: map[string]*agent.Socket{},
		keeper: agent.NewKeeper(), ended: make(chan error, 4),
	}
	kept, err := d.inherited()
	if err != nil {
		return nil, err
	}
	base, err := c.base(d.log)
	if err != nil {
		return nil, err
	}
	d.policies = &agent.Policies{
		Dir: c.PolicyDir, Default: c.DefaultPolicy, UnknownDefault: c.UnknownPolicy == "default",
		Complain: c.Session.Complain,
		Base:     base, Log: d.log,
	}
	if err := d.policies.Load(); err != nil {
		return nil, err
	}
	observer, err := d.openAudit(base)
	if err != nil {
		return nil, err
	}
	d.Agent, err = agent.New(agent.Config{
		Policies: d.policies, PeerUID: c.PeerUID, Audit: observer, Metrics: d.calls, Keeper: d.keeper, Log: d.log,
		MaxConnections: c.MaxConnections, MaxListeners: c.MaxListeners,
	})
	if err != nil {
		return nil, err
	}
	if c.Upgrade {
		if err := d.takeOver(); err != nil {
			return nil, err
		}
	}
	for _, files := range kept {
		if err := d.Restore(files.listener, files.memory); err != nil {
			d.log.Error("cannot go on with a listener: its container gets ENOSYS", "name", files.name, "error", err)
			d.keeper.Forget(files.name)
		}
	}
	return d, d.listen()
}

// base is what all services are made from.
func (c *serveConfig) base(log *slog.Logger) (*supervisor.Base, error) {
	features, err := features()
	if err != nil {
		return nil, err
	}
	o := c.Session
	o.Observed = true // every call of a runtime's filter comes to us, whatever we would like
	s, err := supervisor.New(o, features, log)
	if err != nil {
		return nil, err
	}
	s.Helper = startReaped
	pause(s, paused())
	if c.procfs != nil {
		_ = s.Proc.Close()
		s.Proc = c.procfs
	}
	c.sayPrivileges(s.Proc.Detached(), log)
	return s, nil
}

// newMetrics makes the counters, which say of which build they are.
func newMetrics() *metrics.Calls {
	m := metrics.New()
	m.Info("pidfd_shim_build_info", "1, with the version and the commit of this build.",
		"version", version, "revision", setting("vcs.revision"), "goversion", runtime.Version())
	return m
}

// openAudit makes the observer that others are derived from, one a container.
func (d *daemon) openAudit(base *supervisor.Base) (*audit.JSON, error) {
	if d.config.Audit == "" {
		return nil, nil
	}
	file, err := openAuditFile(d.config.Audit)
	if err != nil {
		return nil, err
	}
	if d.lines, err = audit.NewWriter(file, queueLimit, gatherTime); err != nil {
		return nil, err
	}
	countLost(d.calls, d.lines)
	return audit.NewJSON(audit.Config{Writer: d.lines, Proc: base.Proc, Backend: base.Plan.Backend, Fresh: fresh}), nil
}

// auditState is what becomes of the audit's lines, for ps.
type auditState struct {
	Written uint64 `json:"written"`
	Lost    uint64 `json:"lost"`
	Error   string `json:"error,omitempty"` // of the last that was refused
}

func (d *daemon) auditPage() web.Answer {
	var state auditState
	if d.lines != nil {
		s := d.lines.Stats()
		state = auditState{Written: s.Written, Lost: s.Dropped + s.Failed}
		if s.LastError != nil {
			state.Error = s.LastError.Error()
		}
	}
	return web.JSON(state)
}

// listen opens what others connect to, the runtimes' socket last: who can hand over to
// us is served. What systemd or an agent before us has opened is taken.
func (d *daemon) listen() error {
	c := d.config
	for _, s := range []struct {
		name, path string
		open       func(string) (*agent.Socket, error)
	}{
		{socketControl, c.Control, agent.OpenSocket},
		{socketUpgrade, c.Socket + ".upgrade", agent.OpenUpgrade},
		{socketAgent, c.Socket, agent.OpenSocket},
	} {
		if d.sockets[s.name] != nil {
			continue
		}
		socket, err := s.open(s.path)
		if err != nil {
			return err
		}
		d.sockets[s.name] = socket
	}
	if c.Metrics == "" {
		return nil
	}
	var err error
	d.scraped, err = openMetrics(c.Metrics)
	return err
}

// The sockets by name: what systemd's FileDescriptorName= has to be.
const (
	socketAgent   = "agent"
	socketControl = "control"
	socketUpgrade = "upgrade"
)

// openMetrics listens where --metrics says.
func openMetrics(where string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		s, err := agent.OpenSocket(path)
		if err != nil {
			return nil, fmt.Errorf("--metrics %s: %w", where, err)
		}
		return s, nil
	}
	if _, _, err := net.SplitHostPort(where); err != nil {
		return nil, fmt.Errorf("--metrics %s: no such address, it takes HOST:PORT, :PORT or unix:PATH", where)
	}
	l, err := net.Listen("tcp", where)
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: %w", where, err)
	}
	return l, nil
}

func (d *daemon) run(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	changes := d.watchPolicies()
	successors := make(chan *net.UnixConn)
	d.serveAgent()
	go func() {
		pages := d.calls.Pages(d.Healthy)
		maps.Copy(pages, d.Pages())
		pages["/audit"] = d.auditPage
		d.ended <- pages.Serve(d.sockets[socketControl], d.log)
	}()
	go func() { d.ended <- awaitSuccessors(d.sockets[socketUpgrade], successors) }()
	if d.scraped != nil {
		go func() { d.ended <- d.calls.Pages(d.Healthy).Serve(d.scraped, d.log) }()
	}
	watchdog := d.watchdogTicks()
	d.tell("READY=1")
	d.log.Info("ready", "version", version)
	for {
		select {
		case err := <-d.ended:
			return err
		case <-hangups:
			d.reload()
			d.rotate()
		case <-changes:
			d.reload()
		case <-watchdog:
			if d.Healthy() == nil {
				d.tell("WATCHDOG=1")
			}
		case conn := <-successors:
			if d.handOver(conn) {
				return nil
			}
		case <-ctx.Done():
			d.tell("STOPPING=1")
			d.log.Info("stopping")
			return nil
		}
	}
}

// serveAgent takes hand-overs. Its end is ours, unless it was told to stop.
func (d *daemon) serveAgent() {
	go func() {
		if err := d.Serve(d.sockets[socketAgent]); err != nil {
			d.ended <- err
		}
	}()
}

func (d *daemon) reload() {
	if err := d.policies.Reload(); err != nil {
		d.log.Error("reload: what could not be read stays as it was", "error", err)
	}
}

// rotate opens the audit file anew, which somebody has renamed.
func (d *daemon) rotate() {
	if d.lines == nil {
		return
	}
	file, err := openAuditFile(d.config.Audit)
	if err != nil {
		d.log.Error("rotation: the audit goes on into the old file", "error", err)
		return
	}
	d.lines.Replace(file)
}

// watchPolicies tells of changes where policies are. A Kubernetes volume is changed by
// a rename of its "..data".
func (d *daemon) watchPolicies() <-chan struct{} {
	var dirs []string
	if d.policies.Dir != "" {
		dirs = append(dirs, d.policies.Dir)
	}
	if strings.ContainsRune(d.policies.Default, '/') {
		dirs = append(dirs, filepath.Dir(d.policies.Default))
	}
	return watchDirs(dirs, d.log, func(event fsnotify.Event) bool {
		name := filepath.Base(event.Name)
		return strings.HasSuffix(name, ".yaml") || strings.HasPrefix(name, "..") || name == filepath.Base(d.policies.Default)
	})
}

// close ends the service and writes out what is queued.
func (d *daemon) close() error {
	d.Stop()
	var failed []error
	for _, s := range d.sockets {
		if d.replaced {
			s.Leave()
		} else {
			failed = append(failed, s.Close())
		}
	}
	if d.scraped != nil {
		failed = append(failed, d.scraped.Close())
	}
	if d.lines != nil {
		failed = append(failed, d.lines.Close(flushTime))
		if s := d.lines.Stats(); s.Dropped+s.Failed > 0 {
			d.log.Warn("lines were lost", "dropped", s.Dropped, "denials among them", s.DroppedDenials, "failed", s.Failed, "error", s.LastError)
		}
	}
	return errors.Join(failed...)
}

// startReaped is startHelper for a process that nobody else waits for. It is waited for by
// its handle: a wait for any child would take the stops of those that workers trace.
func startReaped(name role.Name, socket *os.File) (*os.Process, error) {
	process, err := startHelper(name, socket)
	if err != nil {
		return nil, err
	}
	if again, err := os.FindProcess(process.Pid); err == nil { //nolint:forbidigo // our child, not reaped yet
		go func() { _, _ = again.Wait() }()
	}
	return process, nil
}
