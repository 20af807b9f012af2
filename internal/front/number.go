package front

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The procfs at /proc can be that of a pid namespace around ours (unshare --pid
// without --mount-proc): the numbers in it are then others than system calls take.
// An entry is the name of a process in that procfs, whosever it is; only /proc/self
// needs no translation.
type entry string

const selfEntry entry = "self"

// entryOf finds pid's by a pidfd, whose fdinfo has its number in the procfs that is
// read (fs/pidfs.c, pidfd_show_fdinfo; Linux 5.3). Without pidfds, by our own number.
func entryOf(pid int) (entry, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if isAny(err, unix.ENOSYS, unix.EPERM) {
		return plainEntry(pid)
	}
	if err != nil {
		return "", os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil { // of who is not dumpable, before 5.14
		return plainEntry(pid)
	}
	words := numbersAfter(text, "Pid:")
	if len(words) != 1 || words[0] == "0" || words[0] == "-1" {
		return "", fmt.Errorf("find process %d in /proc: %w", pid, unix.ESRCH)
	}
	return entry(words[0]), nil
}

// plainEntry is for a procfs of our own pid namespace.
func plainEntry(pid int) (entry, error) {
	if self, err := os.Readlink("/proc/self"); err != nil || self != strconv.Itoa(os.Getpid()) {
		return "", fmt.Errorf("find process %d in /proc, which is of another pid namespace: %w", pid, unix.ESRCH)
	}
	return entry(strconv.Itoa(pid)), nil
}

// numbers are those that a task has, from the procfs's namespace down to its own
// (NSpid, Linux 4.1). Task "self/task/N" is thread N of ours.
func (e entry) numbers() []string {
	text, err := os.ReadFile("/proc/" + string(e) + "/status")
	if err != nil {
		return nil
	}
	return numbersAfter(text, "NSpid:")
}

// number is what system calls know the task by, which can be in a namespace below ours: 0
// for one that is in one around it, or has ended.
func (e entry) number() int {
	theirs, ours := e.numbers(), selfEntry.numbers()
	if len(theirs) == 0 && len(ours) == 0 { // before 4.1
		n, _ := strconv.Atoi(path.Base(string(e)))
		return n
	}
	if len(theirs) == 0 || len(theirs) < len(ours) {
		return 0
	}
	n, _ := strconv.Atoi(theirs[len(ours)-1])
	return n
}

func numbersAfter(text []byte, key string) []string {
	for line := range bytes.Lines(text) {
		if rest, found := bytes.CutPrefix(line, []byte(key)); found {
			return strings.Fields(string(rest))
		}
	}
	return nil
}

// threads are our own, as system calls know them.
func threads() (tids []int, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, fmt.Errorf("list our threads: %w", err)
	}
	nested := len(selfEntry.numbers()) > 1
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		if nested {
			tid = entry("self/task/" + task.Name()).number()
		}
		if tid != 0 {
			tids = append(tids, tid)
		}
	}
	return tids, nil
}

// status is what /proc/PID/stat says of a process, in that procfs's numbers.
type status struct {
	state                    string
	parent                   entry
	group, session, terminal string // terminal: "0" for none
}

// status reads the line from the third field on. The second, the name, may hold
// anything but ends in the last ")".
func (e entry) status() (status, error) {
	text, err := os.ReadFile("/proc/" + string(e) + "/stat")
	if err != nil {
		return status{}, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 5 {
		return status{}, unix.ESRCH
	}
	return status{fields[0], entry(fields[1]), fields[2], fields[3], fields[4]}, nil
}

// The states that count here: stopped, and stopped or a tracee's stop, of which
// either may be meant.
const (
	stoppedState  = "T"
	stoppedStates = "Tt"
)

// isIn tells whether pid is in one of states. Where that cannot be read, it is not.
func isIn(pid int, states string) bool {
	e, err := entryOf(pid)
	return err == nil && e.isIn(states)
}

func (e entry) isIn(states string) bool {
	s, err := e.status()
	return err == nil && strings.Contains(states, s.state)
}
