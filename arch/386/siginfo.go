package i386

import (
	"encoding/binary"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Where SIL_CHLD has its times, each a compat_clock_t of 4 signed bytes
// (include/linux/compat.h, struct compat_siginfo).
const (
	utimeAt = 24
	stimeAt = 28
)

// DecodeSiginfo makes the kernel's record of an i386 caller's siginfo_t. The
// kernel reads all 128 bytes, whatever the code, and never says E2BIG here.
//
// Precondition: len(user) >= arch.SiginfoSize.
func DecodeSiginfo(user []byte) arch.Siginfo {
	s := arch.Widen(user)
	if s.Layout() == arch.SIL_CHLD {
		s.SetTimes(clock(user[utimeAt:]), clock(user[stimeAt:]))
	}
	return s
}

// EncodeSiginfo makes the siginfo_t that an i386 receiver gets of a record.
func EncodeSiginfo(s *arch.Siginfo) [arch.SiginfoSize]byte {
	user := arch.Narrow(s)
	if s.Layout() == arch.SIL_CHLD {
		utime, stime := s.Times()
		binary.LittleEndian.PutUint32(user[utimeAt:], uint32(utime))
		binary.LittleEndian.PutUint32(user[stimeAt:], uint32(stime))
	}
	return user
}

// clock reads a compat_clock_t, which becomes a 64-bit clock_t with its sign.
func clock(from []byte) int64 { return int64(int32(binary.LittleEndian.Uint32(from))) }
