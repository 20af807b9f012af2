package proc

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Protection is what a mapping allows its own process (mmap(2), PROT_*).
type Protection struct{ Read, Write, Execute bool }

// Mapping tells how the memory at an address is protected: not at all where nothing is
// mapped. It waits for whoever changes the process's mappings.
func (d *Dir) Mapping(addr uint64) (Protection, error) {
	fd, err := d.Open("maps")
	if err != nil {
		return Protection{}, err
	}
	defer unix.Close(fd)
	query := sys.ProcmapQuery{Addr: addr}
	switch err := sys.QueryMap(fd, &query); err {
	case 0:
		f := query.VMAFlags
		return Protection{f&sys.PROCMAP_QUERY_VMA_READABLE != 0, f&sys.PROCMAP_QUERY_VMA_WRITABLE != 0, f&sys.PROCMAP_QUERY_VMA_EXECUTABLE != 0}, nil
	case unix.ENOENT:
		return Protection{}, nil
	case unix.ENOTTY, unix.EPERM, unix.EINVAL: // before 6.11, or not for us to ask
	default:
		return Protection{}, d.gone(err)
	}
	return mappingIn(fd, addr)
}

// mappingIn looks through the text of maps, which is in the order of addresses.
func mappingIn(fd int, addr uint64) (Protection, error) {
	buf := make([]byte, 16384)
	for held := 0; ; {
		n, err := sys.Read(fd, buf[held:])
		if err != 0 || n == 0 {
			return Protection{}, sys.Err(err)
		}
		text := buf[:held+n]
		for {
			line, rest, whole := bytes.Cut(text, []byte{'\n'})
			if !whole {
				break
			}
			if p, past := mappingOf(line, addr); past {
				return p, nil
			}
			text = rest
		}
		if held = copy(buf, text); held == len(buf) { // a name that long belongs to no line that we need
			held = 0
		}
	}
}

// mappingOf takes a line, "7f00-7f80 rw-p ...", and tells whether it is the one, or past it.
func mappingOf(line []byte, addr uint64) (p Protection, past bool) {
	word, rest := nextField(line)
	low, high, _ := bytes.Cut(word, []byte{'-'})
	start, ok := number(low, 16)
	end, okEnd := number(high, 16)
	perms, _ := nextField(rest)
	if !ok || !okEnd || len(perms) < 3 || addr >= end {
		return p, false
	}
	if addr < start {
		return p, true
	}
	return Protection{perms[0] == 'r', perms[1] == 'w', perms[2] == 'x'}, true
}
