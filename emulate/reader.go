package emulate

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

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
