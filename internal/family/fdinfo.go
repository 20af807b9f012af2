package family

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A program asks its own /proc/self/fdinfo/N whom a descriptor means. Opens are frequent, and
// a filter cannot read a path, so they are nobody's until a process gets its first descriptor:
// then it is made to add a filter that has them, for itself and whoever descends from it.

// Covered is what the added filter answers to the question whether it is there.
const (
	CoveredAsk    = 0x70696466 // as flags of seccomp(SECCOMP_GET_ACTION_AVAIL), which takes none
	CoveredAnswer = unix.EXFULL
)

// cover has the caller add the filter, unless it is under it. One that may not goes without:
// no_new_privs is its own to set.
func (m *maker) cover(then func() shim.Step) shim.Step {
	if len(m.table.Opens) == 0 {
		return then()
	}
	return m.call(arch.Seccomp, func(result int64) shim.Step {
		if errno, _ := m.errnoOf(result); errno == CoveredAnswer || !m.pokeFilter() {
			return then()
		}
		return m.addFilter(unix.SECCOMP_FILTER_FLAG_TSYNC, func(result int64) shim.Step {
			if result == 0 {
				return then()
			}
			return m.addFilter(0, func(int64) shim.Step { return then() }) // threads have filters of their own
		})
	}, unix.SECCOMP_GET_ACTION_AVAIL, CoveredAsk, 0)
}

func (m *maker) addFilter(flags uint64, then func(int64) shim.Step) shim.Step {
	return m.call(arch.Seccomp, then, unix.SECCOMP_SET_MODE_FILTER, flags, m.page)
}

// pokeFilter writes struct sock_fprog, and behind it the program, into the caller's page. What
// are pointers to the 32-bit ABIs is shorter (kernel/seccomp.c, seccomp_prepare_user_filter).
func (m *maker) pokeFilter() bool {
	const program = 16
	le := binary.LittleEndian
	b := make([]byte, program, program+8*len(m.table.Opens))
	le.PutUint16(b, uint16(len(m.table.Opens)))
	if m.abi == arch.Native {
		le.PutUint64(b[8:], m.page+program)
	} else {
		le.PutUint32(b[4:], uint32(m.page)+program)
	}
	for _, f := range m.table.Opens {
		b = le.AppendUint16(b, f.Code)
		b = append(b, f.Jt, f.Jf)
		b = le.AppendUint32(b, f.K)
	}
	_, err := unix.PtracePokeData(int(m.tid), uintptr(m.page), b)
	return err == nil
}

// opening is an open of a descriptor's fdinfo: the caller's own, in whose place then comes a
// file with what a real one would say.
type opening struct {
	maker
	own   shim.Rewrite
	flags uint64 // dup3's
	text  []byte
	fd    uint64 // the caller's
	file  uint64
}

// Fdinfo opens what the call would open, with this text.
func (t *Table) Fdinfo(tid int32, abi arch.ABI, own shim.Rewrite, cloexec bool, text []byte) shim.Program {
	o := &opening{maker: maker{table: t, tid: tid, abi: abi, target: &Target{users: 2}}, own: own, text: text}
	if cloexec {
		o.flags = unix.O_CLOEXEC
	}
	o.then = func(int64) shim.Step {
		o.then = o.opened
		return shim.Step{Call: o.own}
	}
	return o
}

func (o *opening) opened(result int64) shim.Step {
	if _, failed := o.errnoOf(result); failed {
		return shim.End(result)
	}
	o.fd = uint64(result)
	return o.call(arch.Mmap, o.named, 0, pageSize, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
}

// named has a page of zeros, which is as much of a name as memfd_create asks for.
func (o *opening) named(result int64) shim.Step {
	if _, failed := o.errnoOf(result); failed {
		return o.end()
	}
	o.page = uint64(result)
	return o.call(arch.MemfdCreate, o.written, o.page, 0)
}

func (o *opening) written(result int64) shim.Step {
	unmap := func(int64) shim.Step {
		return o.call(arch.Munmap, func(int64) shim.Step { return o.end() }, o.page, pageSize)
	}
	if _, failed := o.errnoOf(result); failed {
		return unmap(0)
	}
	o.file = uint64(result)
	closes := func(int64) shim.Step { return o.call(arch.Close, unmap, o.file) }
	fd, err := o.table.Proc.OpenFD(o.tid, int32(o.file), unix.O_WRONLY)
	if err != nil {
		return closes(0)
	}
	_, err = unix.Write(fd, o.text)
	_ = unix.Close(fd)
	if err != nil {
		return closes(0)
	}
	return o.call(arch.Dup3, closes, o.file, o.fd, o.flags)
}

func (o *opening) end() shim.Step { return shim.End(int64(o.fd)) }

// Gone implements shim.Program.
func (o *opening) Gone() {}
