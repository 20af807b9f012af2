package family

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// maker makes a descriptor in a caller: a page for pipe2 to write into, which is the caller's
// only for as long, the pipe, and the page and the writing end away again. What goes wrong
// is undone by the same calls.
type maker struct {
	table  *Table
	tid    int32
	abi    arch.ABI
	flags  uint64 // pipe2's, besides O_CLOEXEC
	target *Target

	// made is given the descriptor and says what is to be done with it. Page and writing end
	// are the caller's still.
	made func() shim.Step

	then        func(result int64) shim.Step
	page        uint64
	read, write int32
	inode       uint64
	errno       unix.Errno // that ends it all
}

const pageSize = 4096

// errnoOf reads a result as the ABI has it. False: it is none.
func (m *maker) errnoOf(result int64) (unix.Errno, bool) {
	if !abi.Of(m.abi).Wide && uint64(result) <= 0xffffffff {
		result = int64(int32(uint32(result)))
	}
	const maxErrno = 4095 // include/linux/err.h
	if result < 0 && result >= -maxErrno {
		return unix.Errno(-result), true
	}
	return 0, false
}

// call is a step, after which then is asked.
func (m *maker) call(what arch.Syscall, then func(int64) shim.Step, args ...uint64) shim.Step {
	m.then = then
	step := shim.Step{Call: shim.Rewrite{Nr: shim.NumberOf(what, m.abi)}}
	copy(step.Call.Args[:], args)
	return step
}

// Next implements shim.Program.
func (m *maker) Next(result int64) shim.Step { return m.then(result) }

// Forked implements shim.Program.
func (m *maker) Forked(int32) int32 { return -1 }

// Gone implements shim.Program: what was made goes with its last reader.
func (m *maker) Gone() {
	if m.inode == 0 {
		m.table.Leave(m.target)
	}
}

func (m *maker) begin(int64) shim.Step {
	return m.call(arch.Mmap, m.mapped, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
}

func (m *maker) mapped(result int64) shim.Step {
	if errno, failed := m.errnoOf(result); failed {
		return m.fail(errno)
	}
	m.page = uint64(result)
	return m.call(arch.Pipe2, m.piped, m.page, unix.O_CLOEXEC|m.flags)
}

func (m *maker) piped(result int64) shim.Step {
	if errno, failed := m.errnoOf(result); failed {
		return m.unmap(errno)
	}
	var pair [8]byte
	if _, err := unix.PtracePeekData(int(m.tid), uintptr(m.page), pair[:]); err != nil {
		return m.unmap(unix.ENOMEM) // nothing can be known of it
	}
	m.read, m.write = int32(binary.LittleEndian.Uint32(pair[:])), int32(binary.LittleEndian.Uint32(pair[4:]))
	var err error
	if m.inode, err = m.table.attach(m.tid, m.write, m.target); err != nil {
		m.errno = unix.ENFILE
		return m.call(arch.Close, m.undo, uint64(m.write))
	}
	return m.cover(m.made)
}

// undo takes the descriptor away, too.
func (m *maker) undo(int64) shim.Step {
	return m.call(arch.Close, func(int64) shim.Step { return m.unmap(m.errno) }, uint64(m.read))
}

// tidy takes away what the caller is not to have, then goes on.
func (m *maker) tidy(then func() shim.Step) shim.Step {
	return m.call(arch.Close, func(int64) shim.Step {
		return m.call(arch.Munmap, func(int64) shim.Step { return then() }, m.page, pageSize)
	}, uint64(m.write))
}

func (m *maker) unmap(errno unix.Errno) shim.Step {
	return m.call(arch.Munmap, func(int64) shim.Step { return m.fail(errno) }, m.page, pageSize)
}

// fail ends the call. A filter of the program's own may have refused one of ours: then there is
// no such call as the caller's, which it knows how to do without.
func (m *maker) fail(errno unix.Errno) shim.Step {
	if m.inode == 0 {
		m.table.Leave(m.target)
	}
	switch errno {
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM:
	default:
		errno = unix.ENOSYS
	}
	return shim.End(-int64(errno))
}

// Open is pidfd_open: a program that ends with the descriptor.
func (t *Table) Open(tid int32, abi arch.ABI, target *Target, nonblock bool) shim.Program {
	m := &maker{table: t, tid: tid, abi: abi, target: target}
	if nonblock {
		m.flags = unix.O_NONBLOCK
	}
	m.then = m.begin
	m.made = func() shim.Step {
		return m.tidy(func() shim.Step { return shim.End(int64(m.read)) })
	}
	return m
}
