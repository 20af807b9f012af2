package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// State is what a process may do: the most that any of its threads may.
type State struct {
	Threads    int
	Effective  uint64
	Permitted  uint64
	Bounding   uint64
	NoNewPrivs bool // each thread; false before 4.10, which does not show it
	Filtered   bool // each thread
}

// Confined tells whether Thread has been at work in all of it.
func (s State) Confined() bool { return s.Permitted&^kept() == 0 && s.Filtered }

// Missing are the capabilities that a confined process should have and has not.
func (s State) Missing() []Capability {
	var missing []Capability
	for _, c := range Capabilities {
		if !c.AtStart && s.Effective>>c.Number&1 == 0 {
			missing = append(missing, c)
		}
	}
	return missing
}

// Of reads it in /proc.
func Of(pid int) (State, error) {
	tasks := filepath.Join("/proc", strconv.Itoa(pid), "task")
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return State{}, fmt.Errorf("read the privileges of %d: %w", pid, err)
	}
	s := State{NoNewPrivs: true, Filtered: true}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(tasks, e.Name(), "status"))
		if err == nil {
			err = s.add(string(text))
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return State{}, fmt.Errorf("read the privileges of thread %s: %w", e.Name(), err)
		}
	}
	return s, nil
}

// add takes one thread's status, proc_pid_status(5).
func (s *State) add(status string) error {
	s.Threads++
	noNewPrivs, filtered := false, false
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
		var set *uint64
		switch key {
		case "CapEff":
			set = &s.Effective
		case "CapPrm":
			set = &s.Permitted
		case "CapBnd":
			set = &s.Bounding
		case "NoNewPrivs":
			noNewPrivs = value == "1"
		case "Seccomp":
			filtered = value == "2"
		}
		if set == nil {
			continue
		}
		n, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			return err
		}
		*set |= n
	}
	s.NoNewPrivs, s.Filtered = s.NoNewPrivs && noNewPrivs, s.Filtered && filtered
	return nil
}
