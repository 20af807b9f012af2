package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/life"
	"github.com/pidfd-shim/pidfd-shim/internal/metrics"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// openSupervisor is the supervisor of run: what the front calls before, at and after
// the start of COMMAND.
func openSupervisor(config []string, inherited *front.Inherited) (front.Hooks, error) {
	c, err := readConfig(config)
	if err != nil {
		return front.Hooks{}, err
	}
	if c.Scope {
		return life.Scoped(c.Protect), nil
	}
	base, err := c.base()
	if err != nil {
		return front.Hooks{}, err
	}
	if base.Plan.Backend == supervisor.BackendPtrace {
		return tracedHooks(base, c, inherited)
	}
	run := base.Run()
	observers, err := c.watch(&run.Service, func() (*os.File, error) { return openAudit(c.Audit, inherited) })
	if err != nil {
		return front.Hooks{}, err
	}
	beside := c.beside()
	beside.Started, beside.Ended, beside.Over = func() { c.hearHangups(run.Log) }, observers.flush, observers.close
	return life.Under(run, beside), nil
}

// readConfig reads what run was given, and asks the kernel what it has.
func readConfig(words []string) (*runConfig, error) {
	c := &runConfig{}
	if len(words) != 1 {
		return nil, fmt.Errorf("read the flags: %d words", len(words))
	}
	if err := json.Unmarshal([]byte(words[0]), c); err != nil {
		return nil, fmt.Errorf("read the flags: %w", err)
	}
	if err := c.Session.LoadPolicy(); err != nil {
		return nil, err
	}
	var err error
	c.features, err = featuresUnder(c.Pretend)
	return c, err
}

func (c *runConfig) base() (*supervisor.Base, error) {
	b, err := supervisor.New(c.Session, c.features, c.logger())
	if err != nil {
		return nil, err
	}
	b.Helper = startHelper
	pause(b, c.Pause)
	return b, nil
}

// watch makes the observers of what answers calls, and puts its policy in force when that
// changes.
func (c *runConfig) watch(s *supervisor.Service, audit func() (*os.File, error)) (*observers, error) {
	observers, err := c.observers(s, audit)
	if err != nil {
		return nil, err
	}
	s.Observer = observers.observer()
	c.reloadPolicy(s.Base, s.Log)
	return observers, nil
}

// beside is what run asks for beside answers.
func (c *runConfig) beside() life.Beside {
	return life.Beside{KeepStderr: c.Trace == "-" || c.Summary == "-", Protect: c.Protect}
}

// observers are those who want to see each call, and what they write to.
type observers struct {
	list    awaited
	json    *audit.JSON
	summary *audit.Summary
	table   *os.File // where the summary is to be printed; nil when it has been
	waitAll bool     // it is to be about all that COMMAND leaves behind, too
	writers []*audit.Writer
	lines   *audit.Writer // of the audit; nil without
	told    uint64        // lines of whose loss we have told
	scraped net.Listener  // nil without --metrics
	log     *slog.Logger
}

// queueLimit bounds what may wait for a slow disk or terminal, in bytes.
const queueLimit = 4 << 20

// gatherTime is how long audit lines that follow upon another may wait for each other.
// Trace lines do not: they are read beside what COMMAND prints.
const gatherTime = 2 * time.Millisecond

// flushTime is how long COMMAND's end, and ours, wait for what is still queued.
const flushTime = 5 * time.Second

// fresh is how long a comm and an exe that were read count as known.
const fresh = 100 * time.Millisecond

func (c *runConfig) observers(s *supervisor.Service, audited func() (*os.File, error)) (*observers, error) {
	o := &observers{log: s.Log, waitAll: c.Wait == "all"}
	if c.Trace != "" {
		w, err := o.writer(func() (*os.File, error) { return openTrace(c.Trace) }, 0)
		if err != nil {
			return nil, err
		}
		o.list.Several = append(o.list.Several, audit.NewTrace(w))
	}
	if c.Audit != "" {
		w, err := o.writer(audited, gatherTime)
		if err != nil {
			return nil, err
		}
		o.lines = w
		o.json = audit.NewJSON(audit.Config{Writer: w, Proc: s.Proc, Backend: s.Plan.Backend, Fresh: fresh})
		o.list.Several = append(o.list.Several, o.json)
	}
	if c.Summary != "" {
		var err error
		if o.table, err = openLines("--summary", c.Summary, os.O_TRUNC); err != nil {
			return nil, err
		}
		o.summary = &audit.Summary{}
		o.list.Several = append(o.list.Several, o.summary)
	}
	if c.Metrics != "" {
		s.CountsOnly = len(o.list.Several) == 0
		return o, o.measure(c.Metrics, c.logger())
	}
	return o, nil
}

// measure lets Prometheus look at the run.
func (o *observers) measure(where string, log *slog.Logger) error {
	l, err := openMetrics(where)
	if err != nil {
		return err
	}
	o.scraped = l
	calls := newMetrics()
	if o.lines != nil {
		countLost(calls, o.lines)
	}
	o.list.Several = append(o.list.Several, calls)
	go func() { _ = calls.Pages(func() error { return nil }).Serve(l, log) }()
	return nil
}

func (o *observers) writer(open func() (*os.File, error), pause time.Duration) (*audit.Writer, error) {
	file, err := open()
	if err != nil {
		return nil, err
	}
	w, err := audit.NewWriter(file, queueLimit, pause)
	if err == nil {
		o.writers = append(o.writers, w)
	}
	return w, err
}

// observer is nil where nobody watches: calls are then answered in the filter.
func (o *observers) observer() shim.Observer {
	if len(o.list.Several) == 0 {
		return nil
	}
	return &o.list
}

// flush writes out what there is to say of the calls so far: of all that COMMAND made, if
// it has ended. What cannot be written in time (a pipe that nobody reads) is not lost yet.
func (o *observers) flush() {
	o.list.wait()
	for _, w := range o.writers {
		_ = w.Flush(flushTime)
		o.tellLost(w)
	}
	if !o.waitAll {
		o.summarize()
	}
}

// summarize prints the table, once.
func (o *observers) summarize() {
	if o.table == nil {
		return
	}
	if err := o.summary.Print(o.table); err != nil {
		o.log.Warn("--summary", "error", err)
	}
	_ = o.table.Close()
	o.table = nil
}

// tellLost says what was lost, again only if it has become more: standard error may be gone
// after COMMAND's end, and what COMMAND leaves behind goes on.
func (o *observers) tellLost(w *audit.Writer) {
	s := w.Stats()
	if lost := s.Dropped + s.Failed; lost > o.told {
		o.told = lost
		o.log.Warn("lines were lost", "dropped", s.Dropped, "denials among them", s.DroppedDenials, "failed", s.Failed, "error", s.LastError)
	}
}

// close writes out what is queued and says what was lost.
func (o *observers) close() {
	o.list.wait()
	for _, w := range o.writers {
		if err := w.Close(flushTime); err != nil {
			o.log.Warn("lines were lost", "error", err)
		}
		o.tellLost(w)
	}
	o.summarize()
	if o.json != nil {
		o.json.Close()
	}
	if o.scraped != nil {
		_ = o.scraped.Close()
	}
}

func openTrace(name string) (*os.File, error) {
	return openLines("--trace", name, os.O_TRUNC)
}

// openLines opens what a flag names for lines of ours: a file, or "-" for standard error. A
// FIFO that nobody reads is refused: to wait for its reader would be to be deaf meanwhile.
func openLines(flag, name string, how int) (*os.File, error) {
	if name == "-" {
		fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		return os.NewFile(uintptr(fd), "stderr"), nil
	}
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC|how, 0o600)
	switch {
	case errors.Is(err, unix.ENXIO):
		return nil, fmt.Errorf("%s %s: nobody reads this FIFO: start its reader first", flag, name)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", flag, name, err)
	}
	_ = unix.SetNonblock(fd, false)
	return os.NewFile(uintptr(fd), name), nil
}

// openAudit appends to a file, or takes a descriptor that COMMAND then does not get:
// it could write lines of its own there.
func openAudit(name string, inherited *front.Inherited) (*os.File, error) {
	if isDescriptor(name) {
		number := strings.TrimPrefix(name, "fd:")
		fd, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("--audit %s: %q is no descriptor number", name, number)
		}
		file, err := inherited.Take(fd)
		if err != nil {
			return nil, fmt.Errorf("--audit %s: %w", name, err)
		}
		return file, nil
	}
	return openAuditFile(name)
}

func openAuditFile(name string) (*os.File, error) {
	return openLines("--audit", name, os.O_APPEND)
}

// countLost adds the counts of lines that nobody will read.
func countLost(calls *metrics.Calls, w *audit.Writer) {
	calls.Counter("pidfd_shim_audit_dropped_total", "Audit lines that were dropped for want of room in the queue.",
		func() float64 { return float64(w.Stats().Dropped) })
	calls.Counter("pidfd_shim_audit_failed_total", "Audit lines that could not be written.",
		func() float64 { return float64(w.Stats().Failed) })
}

// isDescriptor tells fd:N from the name of a file.
func isDescriptor(name string) bool { return strings.HasPrefix(name, "fd:") }
