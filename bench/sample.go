package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sample is what one run of a command told. Filters cannot be taken off a process,
// so each sample is a fresh one.
type sample struct {
	Calls    int64 `json:"calls"`
	NS       int64 `json:"ns"`    // by the caller's own clock
	Least    int64 `json:"least"` // calls of the idlest of many callers
	Most     int64 `json:"most"`
	HalfKiB  int64 `json:"rss_half"` // the supervisor's VmRSS after half of the calls
	EndKiB   int64 `json:"rss_end"`
	wall     time.Duration
	hasCalls bool
}

// cost is what a row's columns show: ns a call, or milliseconds of a whole run.
func (s sample) cost() float64 {
	if !s.hasCalls {
		return float64(s.wall) / float64(time.Millisecond)
	}
	return float64(s.NS) / float64(s.Calls)
}

func (s sample) unfairness() float64 { return float64(s.Most) / float64(max(s.Least, 1)) }

// take runs argv and reads what the caller printed, if it is one that prints.
func take(ctx context.Context, argv []string, hasCalls bool) (sample, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	start := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(start), hasCalls: hasCalls}
	if err != nil {
		return s, fmt.Errorf("run %s: %w: %s", strings.Join(argv, " "), err, firstLine(stderr.String()))
	}
	if !hasCalls {
		return s, nil
	}
	if err := json.Unmarshal(stdout.Bytes(), &s); err != nil {
		return s, fmt.Errorf("read what %s printed: %w", strings.Join(argv, " "), err)
	}
	if s.Calls <= 0 || s.NS <= 0 {
		return s, fmt.Errorf("run %s: no call was made", strings.Join(argv, " "))
	}
	return s, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// placement sets where the next samples run. Precondition: its methods are called on
// one locked thread, whose affinity and nice value the samples inherit.
type placement struct {
	all, one unix.CPUSet
}

// newPlacement takes the last CPU that we may use: the first gets more interrupts.
func newPlacement() (*placement, error) {
	var p placement
	if err := unix.SchedGetaffinity(0, &p.all); err != nil {
		return nil, os.NewSyscallError("sched_getaffinity", err)
	}
	for cpu, left := 0, p.all.Count(); left > 0; cpu++ {
		if p.all.IsSet(cpu) {
			left--
			p.one.Zero()
			p.one.Set(cpu)
		}
	}
	// Without the privilege samples run at the nice value we have. Never SCHED_FIFO: it
	// makes a Go supervisor three times slower.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	return &p, nil
}

func (p *placement) pin(pinned bool) error {
	set := &p.all
	if pinned {
		set = &p.one
	}
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, set))
}

// raisePending lifts the limit of queued signals, at which sending would turn into
// EAGAIN. The targets ignore what they get, so this guards against others of our user.
func raisePending() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_SIGPENDING, &limit) != nil {
		return
	}
	higher := max(limit.Max, 1<<18)
	if unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: higher, Max: higher}) != nil {
		_ = unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: limit.Max, Max: limit.Max})
	}
}

// othersRun tells whether anything but us is running or waiting for a CPU right now.
func othersRun() bool {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return false
	}
	var load [3]float64
	var running int
	_, err = fmt.Sscanf(string(text), "%f %f %f %d/", &load[0], &load[1], &load[2], &running)
	return err == nil && running > 1
}
