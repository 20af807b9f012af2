package amd64

import (
	"encoding/binary"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Where SIL_CHLD has its times on x32, each 8 bytes aligned to 4
// (include/linux/compat.h, _sigchld_x32). All else is as on i386.
const (
	utimeX32 = 24
	stimeX32 = 32
)

// DecodeSiginfoX32 makes the kernel's record of an x32 caller's siginfo_t. As on
// i386, all 128 bytes are read and E2BIG is never said.
//
// Precondition: len(user) >= arch.SiginfoSize.
func DecodeSiginfoX32(user []byte) arch.Siginfo {
	s := arch.Widen(user)
	if s.Layout() == arch.SIL_CHLD {
		utime := binary.LittleEndian.Uint64(user[utimeX32:])
		stime := binary.LittleEndian.Uint64(user[stimeX32:])
		s.SetTimes(int64(utime), int64(stime))
	}
	return s
}

// EncodeSiginfoX32 makes the siginfo_t that an x32 receiver gets of a record.
func EncodeSiginfoX32(s *arch.Siginfo) [arch.SiginfoSize]byte {
	user := arch.Narrow(s)
	if s.Layout() == arch.SIL_CHLD {
		utime, stime := s.Times()
		binary.LittleEndian.PutUint64(user[utimeX32:], uint64(utime))
		binary.LittleEndian.PutUint64(user[stimeX32:], uint64(stime))
	}
	return user
}
