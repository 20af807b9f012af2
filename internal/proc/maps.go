package proc

import (
	"bytes"
	"structs"

	"golang.org/x/sys/unix"
)

// Protection is what a mapping allows its own process (mmap(2), PROT_*).
type Protection struct{ Read, Write, Execute bool }

// struct procmap_query, <linux/fs.h> since 6.11:
//
//	__u64 size, query_flags, query_addr;                                          in
//	__u64 vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;        out
//	__u32 dev_major, dev_minor, vma_name_size, build_id_size;
//	__u64 vma_name_addr, build_id_addr;
type procmapQuery struct {
	_ structs.HostLayout

	size, flags, addr            uint64
	start, end, vmaFlags         uint64
	pageSize, offset, inode      uint64
	major, minor, nameSize, idSz uint32
	nameAddr, idAddr             uint64
}

// <linux/fs.h>; x/sys lacks them.
const (
	PROCMAP_QUERY                = 0xc0686611 // _IOWR('f', 17, 104 bytes)
	PROCMAP_QUERY_VMA_READABLE   = 1 << 0
	PROCMAP_QUERY_VMA_WRITABLE   = 1 << 1
	PROCMAP_QUERY_VMA_EXECUTABLE = 1 << 2
)

// Mapping tells how the memory at an address is protected: not at all where nothing is
// mapped. It waits for whoever changes the process's mappings.
func (d *Dir) Mapping(addr uint64) (Protection, error) {
	fd, err := d.Open("maps")
	if err != nil {
		return Protection{}, err
	}
	defer unix.Close(fd)
	query := procmapQuery{size: 104, addr: addr}
	switch err := queryMap(fd, &query); err {
	case 0:
		f := query.vmaFlags
		return Protection{f&PROCMAP_QUERY_VMA_READABLE != 0, f&PROCMAP_QUERY_VMA_WRITABLE != 0, f&PROCMAP_QUERY_VMA_EXECUTABLE != 0}, nil
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
		n, err := read(fd, buf[held:])
		if err != 0 || n == 0 {
			return Protection{}, errnoOrNil(err)
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

func errnoOrNil(err unix.Errno) error {
	if err == 0 {
		return nil
	}
	return err
}
