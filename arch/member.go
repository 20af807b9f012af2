package arch

import "encoding/binary"

// member is one entry of the union: where it is in a 64-bit record, and where in
// the 32-bit layout that i386 and x32 share.
type member struct {
	name string
	kind kind
	at   uint8
	at32 uint8 // 0: i386 and x32 differ, see their packages
}

// kind is a member's C type: its width on both sides, how it is widened, and how
// people like to read it.
type kind uint8

const (
	kindInt     kind = iota // int
	kindUint                // unsigned int
	kindHex                 // unsigned int, of bits
	kindShort               // short
	kindLong                // long, 4 bytes in 32-bit layouts, sign-extended
	kindPointer             // void * or unsigned long, 4 bytes there, zero-extended
	kindValue               // union sigval, likewise: the kernel copies sival_int and leaves the rest 0
)

// members returns what the record's layout holds behind the three leading words.
func (s *Siginfo) members() []member {
	return layoutMembers[LayoutOf(s.Signo(), s.Code())]
}

// The union of siginfo_t (<asm-generic/siginfo.h>) and of compat_siginfo
// (include/linux/compat.h), never written to. TestOffsets holds it against a C
// compiler.
var layoutMembers = [layoutCount][]member{
	SIL_KILL: {
		{"si_pid", kindInt, 16, 12}, {"si_uid", kindUint, 20, 16},
	},
	SIL_TIMER: {
		{"si_timerid", kindInt, 16, 12}, {"si_overrun", kindInt, 20, 16}, {"si_value", kindValue, 24, 20},
	},
	SIL_POLL: {
		{"si_band", kindLong, 16, 12}, {"si_fd", kindInt, 24, 16},
	},
	SIL_FAULT: {
		{"si_addr", kindPointer, 16, 12},
	},
	SIL_FAULT_MCEERR: {
		{"si_addr", kindPointer, 16, 12}, {"si_addr_lsb", kindShort, 24, 16},
	},
	SIL_FAULT_BNDERR: {
		{"si_addr", kindPointer, 16, 12}, {"si_lower", kindPointer, 32, 20}, {"si_upper", kindPointer, 40, 24},
	},
	SIL_FAULT_PKUERR: {
		{"si_addr", kindPointer, 16, 12}, {"si_pkey", kindUint, 32, 20},
	},
	SIL_FAULT_PERF_EVENT: {
		{"si_addr", kindPointer, 16, 12},
		{"si_perf_data", kindPointer, 24, 16},
		{"si_perf_type", kindUint, 32, 20},
		{"si_perf_flags", kindHex, 36, 24},
	},
	SIL_CHLD: {
		{"si_pid", kindInt, 16, 12},
		{"si_uid", kindUint, 20, 16},
		{"si_status", kindInt, 24, 20},
		{"si_utime", kindLong, utimeAt, 0},
		{"si_stime", kindLong, stimeAt, 0},
	},
	SIL_RT: {
		{"si_pid", kindInt, 16, 12}, {"si_uid", kindUint, 20, 16}, {"si_value", kindValue, 24, 20},
	},
	SIL_SYS: {
		{"si_call_addr", kindPointer, 16, 12}, {"si_syscall", kindInt, 24, 16}, {"si_arch", kindHex, 28, 20},
	},
}

// size is the member's width in a 64-bit record, size32 in a 32-bit one.
func (k kind) size() int {
	switch k {
	case kindShort:
		return 2
	case kindInt, kindUint, kindHex:
		return 4
	}
	return 8
}

func (k kind) size32() int { return min(k.size(), 4) }

// load reads the member of a 64-bit record, extended by its kind to 64 bits.
func (m *member) load(s *Siginfo) uint64 {
	return m.kind.extend(s[m.at:], m.kind.size())
}

// store writes the member of a 64-bit record.
func (m *member) store(s *Siginfo, bits uint64) {
	putLow(s[m.at:], m.kind.size(), bits)
}

// extend reads size bytes as the kind's C type converts to 64 bits.
func (k kind) extend(from []byte, size int) uint64 {
	switch size {
	case 2:
		return uint64(int16(binary.LittleEndian.Uint16(from)))
	case 4:
		word := binary.LittleEndian.Uint32(from)
		if k == kindInt || k == kindLong {
			return uint64(int32(word))
		}
		return uint64(word)
	}
	return binary.LittleEndian.Uint64(from)
}

// putLow writes the low size bytes of bits.
func putLow(to []byte, size int, bits uint64) {
	switch size {
	case 2:
		binary.LittleEndian.PutUint16(to, uint16(bits))
	case 4:
		binary.LittleEndian.PutUint32(to, uint32(bits))
	default:
		binary.LittleEndian.PutUint64(to, bits)
	}
}
