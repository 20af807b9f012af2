package emulate

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// readSiginfo is checks 7 and 8. The caller's memory is read once into our buffer, and
// everything after decides on and sends that copy.
func (h *SendSignal) readSiginfo(a *attempt) (unix.Errno, error) {
	// The older calls overwrite si_signo before they look at the code, so which codes need
	// the tail is not known from the record: all is read.
	split := a.call.ABI == arch.Native && !a.req.byNumber()
	n, err := h.readMemory(a, h.memory[:], split)
	if err != nil {
		return 0, err
	}
	copy(a.call.Record.User[:], h.memory[:])
	if a.req.byNumber() {
		binary.LittleEndian.PutUint32(h.memory[:], uint32(a.req.sig))
	}
	var errno unix.Errno
	a.info, errno = decodeSiginfo(a.call.ABI, h.memory[:n])
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
func (h *SendSignal) readMemory(a *attempt, into []byte, native bool) (int, error) {
	c, addr := a.call, a.req.info
	byHelper := h.Suspicious()
	if h.NeverBlock || byHelper {
		present := h.present(a, len(into))
		if !present && !c.Slow {
			return 0, helper.ErrLate
		}
		byHelper = byHelper || !present
	}
	if byHelper {
		return h.reader.Read(c.Tid, addr, into, native)
	}
	c.Worker().Enter()
	defer c.Worker().Leave()
	return callerMemory{h.Proc}.ReadSiginfo(c.Tid, addr, into, native)
}

// present tells whether every page of the siginfo is in memory (proc(5), pagemap, bit 63).
// The file is opened each time: it stays with the memory that the caller had then, and
// would still show that after execve.
func (h *SendSignal) present(a *attempt, length int) bool {
	addr := a.req.info
	fd, err := h.openPagemap(a)
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

func (h *SendSignal) openPagemap(a *attempt) (int, error) {
	if a.caller == nil {
		return h.Proc.OpenAt(a.call.Tid, "pagemap")
	}
	return a.caller.dir.Open("pagemap")
}

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

// fail is a refusal. Where somebody looks, it shows the siginfo too, if no check came to it.
func (h *SendSignal) fail(a *attempt, errno unix.Errno) shim.Verdict {
	a.call.Record.Check = h.refusedBy(a, errno)
	if h.Explains && a.call.Record.Denied {
		h.explain(a)
	}
	if h.Observed && a.req.given && !a.call.Record.HasUser && !h.Suspicious() {
		_, _ = h.readSiginfo(a)
	}
	return shim.Fail(errno)
}

// look reads what a trace line shows of a call that the kernel will run: for the eye
// only, nothing is decided by it.
func (h *SendSignal) look(seen *attempt) {
	if !h.Observed && seen.logs == nil || h.Suspicious() {
		return
	}
	a := attempt{call: seen.call, req: seen.req, logs: seen.logs, query: seen.query}
	defer a.target.close(a.call.Worker())
	if a.req.given {
		_, _ = h.readSiginfo(&a)
	}
	h.lookResolve(&a)
	if a.logs != nil {
		h.noteLate(&a)
	}
}
