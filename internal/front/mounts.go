package front

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// mount is a line of /proc/PID/mountinfo (proc(5)): id, parent, major:minor, root,
// mount point, options, any number of tags, "-", type, source, options of the
// filesystem.
type mount struct {
	id      string
	root    string // what of the filesystem is mounted
	point   string
	kind    string
	flags   uintptr // MS_*
	options string  // of the filesystem, as mount(2) takes them
}

// namesOuter: a procfs has a directory for each process, and a namespace can be
// entered. Those of the network and the like hold no processes' names.
func (m mount) namesOuter() bool {
	switch m.kind {
	case "proc":
		return true
	case "nsfs":
		return strings.HasPrefix(m.root, "mnt:") || strings.HasPrefix(m.root, "pid:")
	}
	return false
}

// mountsOf lists our own mount namespace, as far as our root directory sees it.
func mountsOf(own *proc.FS) ([]mount, error) {
	dir, err := own.Dir(int32(os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	defer dir.Close()
	text, err := dir.ReadText("mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	return parseMounts(text), nil
}

func parseMounts(text string) (mounts []mount) {
	for line := range strings.Lines(text) {
		own, filesystem, found := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		left, right := strings.Split(own, " "), strings.Split(filesystem, " ")
		if !found || len(left) < 6 || len(right) < 3 {
			continue
		}
		m := mount{id: left[0], root: unescape(left[3]), point: unescape(left[4]), kind: right[0]}
		m.flags, _ = mountOptions(left[5])
		flags, options := mountOptions(right[2])
		m.flags, m.options = m.flags|flags, options
		mounts = append(mounts, m)
	}
	return mounts
}

// mountFlags are the options that mount(2) takes as flags; those of the same words
// without them are their absence.
var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME,
	"rw": 0,
}

func mountOptions(text string) (flags uintptr, rest string) {
	var others []string
	for _, word := range strings.Split(text, ",") {
		if flag, is := mountFlags[word]; is {
			flags |= flag
		} else {
			others = append(others, word)
		}
	}
	return flags, strings.Join(others, ",")
}

// unescape undoes what the kernel does to blanks and the like: \040.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			b.WriteByte((text[i+1]-'0')<<6 | (text[i+2]-'0')<<3 | (text[i+3] - '0'))
			i += 3
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
