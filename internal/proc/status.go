package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Status is what /proc/PID/status says of one thread, in the numbering of the
// procfs's pid namespace and of the reader's user namespace.
type Status struct {
	Name      [16]byte // the thread's own choice, NUL-padded
	State     byte     // R, S, D, T, t, Z, X
	Tgid      int32
	Pid       int32
	PPid      int32
	TracerPid int32

	UID, GID [4]uint32 // real, effective, saved, filesystem

	// NSpid are its numbers from the procfs's pid namespace inwards, NSpids how
	// many: 0 where the kernel does not tell (gVisor; before 4.1).
	NSpid  [32]int32
	NSpids int

	// NSpgid are its process group's numbers, likewise.
	NSpgid  [32]int32
	NSpgids int

	// Blocked, Ignored and Caught are sets of signals: bit 0 is signal 1.
	Blocked, Ignored, Caught uint64

	Threads    int32
	CapEff     uint64
	NoNewPrivs int
	Seccomp    int
}

// Status reads the status of the thread. It allocates nothing once d has been read.
func (d *Dir) Status(into *Status) error {
	text, err := d.text("status\x00")
	if err != nil {
		return err
	}
	if !into.parse(text) {
		return d.gone(unix.EINVAL)
	}
	return nil
}

// parse fills s and tells whether the lines that every kernel writes were there.
//
// Linux escapes a newline in the name; a kernel that did not would let a process
// write lines of its own. Those can only come before the real Tgid, so all but the
// name starts again at each Tgid, and the last line of a kind counts.
func (s *Status) parse(text []byte) bool {
	*s = Status{}
	complete := false
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		key, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			continue
		}
		if string(key) == "Tgid" {
			*s = Status{Name: s.Name, State: s.State}
			complete = false
		}
		if string(key) == "Name" && s.Name == [16]byte{} {
			unescape(&s.Name, bytes.TrimPrefix(value, []byte{'\t'}))
			continue
		}
		s.set(key, value)
		complete = complete || string(key) == "Uid" && s.Tgid > 0 && s.Pid > 0
	}
	return complete
}

// set takes one line. A number that is none leaves its field 0.
func (s *Status) set(key, value []byte) {
	first, _ := nextField(value)
	switch string(key) {
	case "State":
		if len(first) > 0 {
			s.State = first[0]
		}
	case "Tgid":
		s.Tgid, _ = pidNumber(first)
	case "Pid":
		s.Pid, _ = pidNumber(first)
	case "PPid":
		s.PPid, _ = pidNumber(first)
	case "TracerPid":
		s.TracerPid, _ = pidNumber(first)
	case "Uid":
		ids(value, &s.UID)
	case "Gid":
		ids(value, &s.GID)
	case "NSpid":
		s.NSpids = pids(value, &s.NSpid)
	case "NSpgid":
		s.NSpgids = pids(value, &s.NSpgid)
	case "Threads":
		s.Threads, _ = pidNumber(first)
	case "SigBlk":
		s.Blocked, _ = number(first, 16)
	case "SigIgn":
		s.Ignored, _ = number(first, 16)
	case "SigCgt":
		s.Caught, _ = number(first, 16)
	case "CapEff":
		s.CapEff, _ = number(first, 16)
	case "NoNewPrivs":
		s.NoNewPrivs = small(first)
	case "Seccomp":
		s.Seccomp = small(first)
	}
}

func small(word []byte) int {
	n, _ := pidNumber(word)
	return int(n)
}

// ids reads real, effective, saved and filesystem id.
func ids(line []byte, list *[4]uint32) {
	for i := range list {
		var word []byte
		word, line = nextField(line)
		n, _ := number(word, 10)
		list[i] = uint32(n)
	}
}

// unescape undoes what proc_task_name (fs/proc/array.c) does to a name: newline and
// backslash are written as \n and \\.
func unescape(name *[16]byte, text []byte) {
	n := 0
	for i := 0; i < len(text) && n < len(name)-1; i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == '\\') {
			i++
			if c = text[i]; c == 'n' {
				c = '\n'
			}
		}
		name[n] = c
		n++
	}
}
