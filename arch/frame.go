package arch

// ABI is the calling convention of one system call. It belongs to the call, not
// to the program: 64-bit code that executes int $0x80 makes an I386 call.
type ABI uint8

// The three ABIs of an x86-64 kernel. The zero ABI is not valid.
const (
	AMD64 ABI = iota + 1
	I386
	X32

	// ABICount is the size of a table that has a place for each.
	ABICount
)

// ABIs are all, in their order.
var ABIs = [...]ABI{AMD64, I386, X32}

// FirstABI is the lowest of them, AllABIs a set: each is the bit of its number.
const (
	FirstABI = AMD64
	AllABIs  = 1<<AMD64 | 1<<I386 | 1<<X32
)

// String returns the name that policies and audit lines use.
func (a ABI) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case I386:
		return "i386"
	case X32:
		return "x32"
	}
	return "unknown"
}

// AUDIT_ARCH_* and the x32 mark, from <linux/audit.h> and <asm/unistd.h>.
const (
	AuditArchX86_64 = 0xc000003e
	AuditArchI386   = 0x40000003
	X32SyscallBit   = 0x40000000
)

// AuditName is the name of an AUDIT_ARCH_*; "" where the machine has none of the number.
func AuditName(number uint32) string {
	switch number {
	case AuditArchX86_64:
		return "AUDIT_ARCH_X86_64"
	case AuditArchI386:
		return "AUDIT_ARCH_I386"
	}
	return ""
}

// Frame is a system call as the registers held it at entry, untruncated: for an
// int $0x80 from 64-bit code the upper halves are still there although the kernel
// ignores them (struct seccomp_data, <linux/seccomp.h>).
type Frame struct {
	Arch uint32 // AUDIT_ARCH_*
	Nr   uint32 // with X32SyscallBit where the caller set it
	IP   uint64
	Raw  [6]uint64

	Entry Entry // the instruction, where the backend knows it
}

// Entry is the instruction by which a caller entered the kernel.
type Entry uint8

// The instructions. Of SYSENTER and SYSCALL in 32-bit code the kernel returns to the
// vdso, where an int $0x80 for restarts comes right before.
const (
	EntryUnknown Entry = iota
	EntrySyscall
	EntryInt80
	EntrySysenter
)

// String returns the name that audit lines use.
func (e Entry) String() string {
	return [...]string{"unknown", "syscall", "int80", "sysenter"}[e]
}

// ABI tells which convention the call was made in, and false for an
// architecture that x86-64 kernels do not have.
func (f Frame) ABI() (ABI, bool) {
	switch {
	case f.Arch == AuditArchI386:
		return I386, true
	case f.Arch != AuditArchX86_64:
		return 0, false
	case f.Nr&X32SyscallBit != 0:
		return X32, true
	}
	return AMD64, true
}

// Args are the six arguments cut to the width of the caller's ABI: what the
// kernel's entry code would hand to the system call.
type Args [6]uint64

// Int reads argument i as a C int: its low 32 bits, signed.
func (a Args) Int(i int) int32 { return int32(uint32(a[i])) }

// Uint reads argument i as an unsigned int: its low 32 bits.
func (a Args) Uint(i int) uint32 { return uint32(a[i]) }

// Pointer reads argument i as an address in the caller.
func (a Args) Pointer(i int) uint64 { return a[i] }
