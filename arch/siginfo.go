package arch

import "encoding/binary"

// SiginfoSize is what a caller passes and a receiver gets; RecordSize is what the
// kernel keeps of it since 4.20 (struct kernel_siginfo).
const (
	SiginfoSize = 128
	RecordSize  = 48
)

// Siginfo is a signal record as the kernel holds it: the first 48 bytes of the
// 64-bit siginfo_t. Callers of every ABI become one of these; the offsets are
// KERNEL's x86-64 column: si_signo 0, si_errno 4, si_code 8, then from 16 on the
// union (si_pid 16, si_uid 20, si_value 24).
type Siginfo [RecordSize]byte

// Signo is si_signo.
func (s *Siginfo) Signo() int32 { return s.int32At(0) }

// Errno is si_errno.
func (s *Siginfo) Errno() int32 { return s.int32At(4) }

// Code is si_code.
func (s *Siginfo) Code() int32 { return s.int32At(8) }

// Pid is si_pid, meaningful in the layouts that carry one (Layout.HasSender).
func (s *Siginfo) Pid() int32 { return s.int32At(16) }

// UID is si_uid, meaningful where Pid is.
func (s *Siginfo) UID() uint32 { return binary.LittleEndian.Uint32(s[20:]) }

// Value is si_value as a pointer-wide word; its low half is sival_int.
func (s *Siginfo) Value() uint64 { return binary.LittleEndian.Uint64(s[24:]) }

// SetSender writes si_pid and si_uid.
func (s *Siginfo) SetSender(pid int32, uid uint32) {
	binary.LittleEndian.PutUint32(s[16:], uint32(pid))
	binary.LittleEndian.PutUint32(s[20:], uid)
}

// NewSiginfo returns a record with its three leading words set.
func NewSiginfo(signo, errno, code int32) Siginfo {
	var s Siginfo
	binary.LittleEndian.PutUint32(s[0:], uint32(signo))
	binary.LittleEndian.PutUint32(s[4:], uint32(errno))
	binary.LittleEndian.PutUint32(s[8:], uint32(code))
	return s
}

func (s *Siginfo) int32At(offset int) int32 {
	return int32(binary.LittleEndian.Uint32(s[offset:]))
}

// The si_code values that rules of the kernel name, from <asm-generic/siginfo.h>.
const (
	SI_USER     = 0
	SI_KERNEL   = 0x80
	SI_QUEUE    = -1
	SI_TIMER    = -2
	SI_MESGQ    = -3
	SI_ASYNCIO  = -4
	SI_SIGIO    = -5
	SI_TKILL    = -6
	SI_DETHREAD = -7
	SI_ASYNCNL  = -60
)
