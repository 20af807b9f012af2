package emulate

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// siginfoMemory reads callers' siginfo, for one worker.
type siginfoMemory struct {
	proc       *proc.FS
	reader     *Reader
	suspicious func() bool
	neverBlock bool
	buffer     [arch.SiginfoSize]byte // what was read of the caller
}

// readSiginfo is checks 7 and 8. The caller's memory is read once into our buffer, and
// everything after decides on and sends that copy.
func (m *siginfoMemory) readSiginfo(a *attempt) (unix.Errno, error) {
	// The older calls overwrite si_signo before they look at the code, so which codes need
	// the tail is not known from the record: all is read.
	split := a.call.ABI == arch.Native && !a.req.byNumber()
	n, err := m.readMemory(a, m.buffer[:], split)
	if err != nil {
		return 0, err
	}
	copy(a.call.Record.User[:], m.buffer[:])
	if a.req.byNumber() {
		binary.LittleEndian.PutUint32(m.buffer[:], uint32(a.req.sig))
	}
	var errno unix.Errno
	a.info, errno = decodeSiginfo(a.call.ABI, m.buffer[:n])
	a.hasInfo, a.call.Record.HasUser = errno == 0, errno != unix.EFAULT
	a.call.Record.Siginfo, a.call.Record.HasSiginfo = a.info, a.hasInfo
	return errno, nil
}

// decodeSiginfo converts what could be read at the caller's pointer. 32-bit callers
// must have all 128 bytes; 64-bit ones 48, and the rest only where the code is one
// that the kernel does not know: it then must be zero.
func decodeSiginfo(of arch.ABI, user []byte) (arch.Siginfo, unix.Errno) {
	switch {
	case of != arch.Native && len(user) < arch.SiginfoSize, len(user) < arch.RecordSize:
		return arch.Siginfo{}, unix.EFAULT
	case of != arch.Native:
		return abi.Of(of).DecodeSiginfo(user), 0
	}
	info := arch.NativeSiginfo(user)
	if info.NeedsTail() {
		if len(user) < arch.SiginfoSize { // before TailOK, which would see an earlier caller's bytes
			return info, unix.EFAULT
		}
		if !info.TailOK(user[arch.RecordSize:]) {
			return info, unix.E2BIG
		}
	}
	return info, 0
}

// readMemory copies what is readable of the siginfo, up to len(into): 0 bytes where nothing
// is. The worker reads itself until a read has been seen to block. From then on reads
// are made by a process that can be killed, and what is not present in memory, and so
// might block, goes to the slow lane first: so it always does where nobody can take the worker's
// place. There such a process alone reads it: a try that never ends would be the last.
func (m *siginfoMemory) readMemory(a *attempt, into []byte, native bool) (int, error) {
	c, addr := a.call, a.req.info
	byHelper := m.suspicious()
	if m.neverBlock || byHelper {
		present := m.present(a, len(into))
		if !present && !c.Slow {
			return 0, helper.ErrLate
		}
		byHelper = byHelper || !present
	}
	if byHelper {
		return m.reader.Read(c.Tid, addr, into, native)
	}
	c.Worker().Enter()
	defer c.Worker().Leave()
	return callerMemory{m.proc}.ReadSiginfo(c.Tid, addr, into, native)
}

// present reports whether every page of the siginfo is in memory (proc(5), pagemap, bit 63).
// The file is opened each time: it stays with the memory that the caller had then, and
// would still show that after execve.
func (m *siginfoMemory) present(a *attempt, length int) bool {
	addr := a.req.info
	fd, err := m.openPagemap(a)
	if err != nil {
		return false
	}
	defer closeFD(fd)
	var entry [8]byte
	for p := addr / page; p <= (addr+uint64(length)-1)/page; p++ {
		if n, err := unix.Pread(fd, entry[:], int64(p*8)); err != nil || n != 8 || entry[7]&0x80 == 0 {
			return false
		}
	}
	return true
}

func (m *siginfoMemory) openPagemap(a *attempt) (int, error) {
	if a.caller == nil {
		return m.proc.OpenAt(a.call.Tid, "pagemap")
	}
	return a.caller.dir.Open("pagemap")
}

// callerMemory reads a thread's memory as the kernel would for the thread itself. It may be used
// by several goroutines at once.
type callerMemory struct {
	fs *proc.FS
}

const page = 4096

// ReadSiginfo reads a thread's memory as the kernel would for siginfo: of a 64-bit
// caller whose record is split by a page end, the second page is touched only if the
// code asks for it.
func (m callerMemory) ReadSiginfo(tid int32, addr uint64, into []byte, native bool) (int, error) {
	first := len(into)
	if native && addr%page+uint64(len(into)) > page {
		first = arch.RecordSize
	}
	n, err := m.Read(tid, addr, into[:first])
	if err != nil || n < first || first == len(into) {
		return n, err
	}
	info := arch.NativeSiginfo(into)
	if !info.NeedsTail() {
		return n, nil
	}
	tail, err := m.Read(tid, addr+uint64(first), into[first:])
	return first + tail, err
}

// Read copies what is readable, up to len(into): 0 bytes where nothing is.
//
// process_vm_readv(2) goes by what the program may do with a mapping, PROT_READ; the
// kernel's own copy goes by the page table, in which x86 has no page that can be written or
// executed and not read. So where the former fails the mapping is looked at; and where it is
// refused, by a filter around us, that is the only way.
func (m callerMemory) Read(tid int32, addr uint64, into []byte) (n int, err error) {
	for n < len(into) {
		got, errno := sys.ProcessVMReadv(tid, addr+uint64(n), into[n:])
		refused := errno == unix.ENOSYS || errno == unix.EPERM
		if errno != 0 && errno != unix.EFAULT && !refused {
			return 0, errno
		}
		n += got
		if n == len(into) {
			break
		}
		here := addr + uint64(n)
		rest := min(len(into)-n, int(page-here%page))
		got, err = m.readMapped(tid, here, into[n:n+rest], refused)
		switch {
		case err != nil && refused: // the kernel's own no
			return 0, errno
		case got == 0:
			return n, err
		}
		n += got
	}
	return n, nil
}

// readMapped reads within one page of a mapping that has no PROT_READ, but may be written
// or executed, or of any that may be read. /proc/TID/mem would read PROT_NONE, too.
func (m callerMemory) readMapped(tid int32, addr uint64, into []byte, readable bool) (int, error) {
	if m.fs == nil || addr >= 1<<47 {
		return 0, nil
	}
	dir, err := m.fs.Dir(tid)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	p, err := dir.Mapping(addr)
	if err != nil || p.Read && !readable || !p.Read && !p.Write && !(p.Execute && readsExecutable()) {
		return 0, err
	}
	fd, err := dir.Open("mem")
	if err != nil {
		return 0, err
	}
	defer closeFD(fd)
	n, err := unix.Pread(fd, into, int64(addr))
	return max(n, 0), ignoreUnreadable(err)
}

// ignoreUnreadable takes the errors of a page that nobody can read, as those of a mapping
// that is gone by now.
func ignoreUnreadable(err error) error {
	if err == unix.EIO || err == unix.EFAULT || err == unix.ENXIO { //nolint:errorlint // bare errnos only
		return nil
	}
	return err
}

// readsExecutable reports whether the kernel can read a page that may only be executed: not
// where it gives such pages a protection key of their own (pkeys(7)).
func readsExecutable() bool {
	at, err := unix.Mmap(-1, 0, page, unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	defer unix.Munmap(at) //nolint:errcheck // our own page
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return false
	}
	defer sys.Close(pipe[0])
	defer sys.Close(pipe[1])
	n, err := unix.Write(pipe[1], at[:1])
	return err == nil && n == 1
}

// Reader reads memory that may never answer, in a helper process: process_vm_readv on
// a userfaultfd page waits uninterruptibly until the whole process ends.
type Reader struct {
	helper.Helper
	answer [readAnswer]byte
}

// The wire: {tid, native uint32; addr uint64} asks, {errno, n uint32; bytes} answers.
const (
	readQuestion = 16
	readHeader   = 8
	readAnswer   = readHeader + arch.SiginfoSize
)

// Read is callerMemory.ReadSiginfo in the helper, or helper.ErrLate.
func (r *Reader) Read(tid int32, addr uint64, into []byte, native bool) (int, error) {
	var question [readQuestion]byte
	binary.LittleEndian.PutUint32(question[0:], uint32(tid))
	if native {
		question[4] = 1
	}
	binary.LittleEndian.PutUint64(question[8:], addr)
	got, err := r.Ask(question[:], r.answer[:])
	if err != nil {
		return 0, err
	}
	if errno := binary.LittleEndian.Uint32(r.answer[0:]); errno != 0 {
		return 0, unix.Errno(errno)
	}
	n := min(int(binary.LittleEndian.Uint32(r.answer[4:])), got-readHeader, len(into))
	copy(into, r.answer[readHeader:readHeader+n])
	return n, nil
}

// ServeReads is the helper process's side of Reader.
func ServeReads(socket *os.File) error {
	var memory callerMemory // with procfs from the first page on that asks for it
	return helper.Serve(socket, readQuestion, readAnswer, func(question, into []byte) int {
		tid := int32(binary.LittleEndian.Uint32(question[0:]))
		addr := binary.LittleEndian.Uint64(question[8:])
		n, err := memory.ReadSiginfo(tid, addr, into[readHeader:], question[4] == 1)
		if err == nil && n < arch.SiginfoSize && memory.fs == nil {
			if memory.fs, err = proc.Open(); err == nil {
				n, err = memory.ReadSiginfo(tid, addr, into[readHeader:], question[4] == 1)
			}
		}
		binary.LittleEndian.PutUint32(into[0:], uint32(errnoOf(err)))
		binary.LittleEndian.PutUint32(into[4:], uint32(n))
		return readHeader + n
	})
}
