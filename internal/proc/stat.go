package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Stat is what /proc/PID/stat says and status does not.
type Stat struct {
	State   byte
	PPid    int32
	Pgrp    int32
	Session int32
	Threads int32  // that have not been reaped
	Start   uint64 // in clock ticks since boot
}

// Stat reads the stat line. It allocates nothing once d has been read.
func (d *Dir) Stat(into *Stat) error {
	text, err := d.text("stat\x00")
	if err != nil {
		return err
	}
	if !into.parse(text) {
		return d.gone(unix.EINVAL)
	}
	return nil
}

// parse takes the fields after the name, which may hold anything, parentheses and
// newlines too, and ends at the last parenthesis of the text.
func (s *Stat) parse(text []byte) bool {
	*s = Stat{}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return false
	}
	line, _ := nextLine(text[end+1:])
	ok := false
	for field := 3; field <= 22; field++ { // proc_pid_stat(5) counts from 1
		var word []byte
		word, line = nextField(line)
		switch field {
		case 3:
			if len(word) != 1 || word[0] < 'A' || word[0] > 'z' {
				return false
			}
			s.State, ok = word[0], true
		case 4:
			s.PPid, ok = pidNumber(word)
		case 5:
			s.Pgrp, ok = pidNumber(word)
		case 6:
			s.Session, ok = pidNumber(word)
		case 20:
			s.Threads, ok = pidNumber(word)
		case 22:
			s.Start, ok = number(word, 10)
		default:
			continue
		}
		if !ok {
			return false
		}
	}
	return true
}
