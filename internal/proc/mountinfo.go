package proc

import (
	"bytes"
	"fmt"
)

// MountType is the filesystem type of a mount that a thread has in its mount
// namespace, by the id that fdinfo shows ("" if it has none such). It never asks the
// filesystem itself, which can be one whose server does not answer.
//
// A line of /proc/TID/mountinfo (proc(5)): id, parent, major:minor, root, mount point,
// options, any number of tags, "-", type, source, options.
func (f *FS) MountType(tid, id int32) (string, error) {
	d, err := f.Dir(tid)
	if err != nil {
		return "", err
	}
	defer d.Close()
	text, err := d.text("mountinfo\x00")
	if err != nil {
		return "", fmt.Errorf("read mountinfo: %w", err)
	}
	return mountType(text, id), nil
}

func mountType(text []byte, id int32) string {
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		first, rest := nextField(line)
		if n, ok := pidNumber(first); !ok || n != id {
			continue
		}
		if _, tail, found := bytes.Cut(rest, []byte(" - ")); found {
			word, _ := nextField(tail)
			return string(word)
		}
	}
	return ""
}
