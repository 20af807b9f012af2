package arch

// Native is the ABI of our own calls, and of the kernel's own records.
const Native = AMD64

// The audit number of native calls, and from which number on one under it is another ABI's.
const (
	NativeAudit = AuditArchX86_64
	ForeignMark = X32SyscallBit
)

// NativeSiginfo makes the kernel's record of a native caller's siginfo_t: its first
// 48 bytes as they are, the padding at 12 to 15 too (kernel/signal.c,
// copy_siginfo_from_user).
//
// Precondition: len(user) >= RecordSize.
func NativeSiginfo(user []byte) Siginfo {
	return Siginfo(user[:RecordSize])
}

// NeedsTail reports whether the kernel looks at bytes 48 to 127 as well, so that
// they must be readable (else EFAULT) and zero (else E2BIG). pidfd_send_signal asks
// by the record's own si_signo, before it compares that with sig; rt_sigqueueinfo
// overwrites si_signo first.
func (s *Siginfo) NeedsTail() bool {
	return !KnownCode(s.Signo(), s.Code())
}

// TailOK reports whether the kernel accepts what follows the record: false is E2BIG
// (kernel/signal.c, post_copy_siginfo_from_user, since 4.20).
//
// Precondition: tail is bytes 48 to 127 of what the caller passed, if NeedsTail.
func (s *Siginfo) TailOK(tail []byte) bool {
	if !s.NeedsTail() {
		return true
	}
	for _, b := range tail[:SiginfoSize-RecordSize] {
		if b != 0 {
			return false
		}
	}
	return true
}

// Native makes the siginfo_t that a native receiver gets of a record.
func (s *Siginfo) Native() [SiginfoSize]byte {
	var user [SiginfoSize]byte
	copy(user[:], s[:])
	return user
}
