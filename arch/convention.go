package arch

// Convention is what there is to know of an ABI: an entry of the table that package arch/abi
// has. All of it is values and pure functions.
type Convention struct {
	ABI   ABI
	Audit uint32 // AUDIT_ARCH_*, which several can share
	Mark  uint32 // in each of its numbers
	Wide  bool   // its registers are read whole, and so a pointer by both halves

	Syscall func(nr uint32) Syscall // the call of a number, which is given without its mark
	Number  func(s Syscall) uint64  // and the reverse, as a register has it: with its mark
	Args    func(f Frame) Args

	// ArgumentRegs is where a call has its arguments (syscall(2)).
	ArgumentRegs [6]int

	// DecodeSiginfo makes the kernel's record of a caller's siginfo_t, all of whose 128 bytes
	// are there. Not of the native one's, which the kernel reads in two steps: NativeSiginfo.
	DecodeSiginfo func(user []byte) Siginfo

	// Of an ABI that a kernel may lack: since when it can be had, and a program that shows
	// whether it is.
	Since   string
	Callers string
	Program func() []byte
}

// Statuses with which programs of ours end that are no errno.
const (
	StatusDone    = 150 // Convention.Program's
	StatusTrapped = 200 // abi.CallOnce's
)
