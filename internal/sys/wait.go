package sys

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Child is what waitid(2) says of one: siginfo_t for SIGCHLD. Tid 0: nothing has come.
type Child struct {
	Tid    int32
	Code   int32 // CLD_*
	Status int32
}

// CLD_EXITED and CLD_KILLED are 1 and 2, <asm-generic/siginfo.h>: what stops is above.
const cldDumped = 3

// Stopped says that it has, and not ended.
func (c Child) Stopped() bool { return c.Code > cldDumped }

// WaitStatus is that of a stop, in the terms of wait4(2).
func (c Child) WaitStatus() unix.WaitStatus {
	if !c.Stopped() {
		return 0
	}
	return unix.WaitStatus(uint32(c.Status)<<8 | 0x7f)
}

// Of siginfo_t as waitid fills it.
const (
	childCode   = 8
	childPid    = 16
	childStatus = 24
)

// Waitid is waitid(2). It may block unless it is told not to.
func Waitid(idType int, id int32, options int) (Child, unix.Errno) {
	var info [128]byte
	var errno unix.Errno
	if options&unix.WNOHANG != 0 {
		_, _, errno = unix.RawSyscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id), uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
	} else {
		_, _, errno = unix.Syscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id), uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
	}
	le := binary.LittleEndian
	return Child{
		Tid:    int32(le.Uint32(info[childPid:])),
		Code:   int32(le.Uint32(info[childCode:])),
		Status: int32(le.Uint32(info[childStatus:])),
	}, errno
}

// Reap is wait4(2) of a dead tracee of the calling thread: a thread is gone then, and a process
// goes to its parent.
func Reap(tid int32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_WAIT4, uintptr(tid), 0, unix.WNOHANG|unix.WCLONE|unix.WNOTHREAD, 0, 0, 0)
}
