package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// settle is how long we wait after a sample for its supervisor to end, too, lest it
// disturb the next.
const settle = time.Second

// take runs argv and reads what the caller printed, if it is one that prints. The wall
// time ends where a shell's wait would end; a supervisor may live a little longer.
func take(ctx context.Context, argv []string, hasCalls bool) (sample, error) {
	stdout, writer, err := os.Pipe()
	if err != nil {
		return sample{}, err
	}
	defer stdout.Close()
	stderr, err := memoryFile()
	if err != nil {
		writer.Close()
		return sample{}, err
	}
	defer stderr.Close()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = writer, stderr
	start := time.Now()
	err = cmd.Run()
	s := sample{wall: time.Since(start), hasCalls: hasCalls}
	writer.Close()
	_ = stdout.SetReadDeadline(time.Now().Add(settle))
	printed, _ := io.ReadAll(stdout) // what is short fails to decode below
	if err != nil {
		return s, fmt.Errorf("run %s: %w: %s", strings.Join(argv, " "), err, cmp.Or(firstLine(stderr), "it said nothing"))
	}
	if hasCalls {
		err = s.decode(printed)
	}
	if err != nil {
		return s, fmt.Errorf("read what %s printed: %w", strings.Join(argv, " "), err)
	}
	return s, nil
}

func (s *sample) decode(printed []byte) error {
	if err := json.Unmarshal(printed, s); err != nil {
		return err
	}
	if s.Calls <= 0 || s.NS <= 0 {
		return errors.New("no call was made")
	}
	return nil
}

// memoryFile takes what a sample writes on stderr without a reader that would have to
// run beside it.
func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("stderr", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "stderr"), nil
}

func firstLine(f *os.File) string {
	text := make([]byte, 1024)
	n, _ := f.ReadAt(text, 0)
	line, _, _ := strings.Cut(strings.TrimSpace(string(text[:n])), "\n")
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
