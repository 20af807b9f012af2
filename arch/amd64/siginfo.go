package amd64

import "github.com/pidfd-shim/pidfd-shim/arch"

// DecodeSiginfo makes the kernel's record of a 64-bit caller's siginfo_t: its first
// 48 bytes as they are, the padding at 12 to 15 too (kernel/signal.c,
// copy_siginfo_from_user).
//
// Precondition: len(user) >= arch.RecordSize.
func DecodeSiginfo(user []byte) arch.Siginfo {
	return arch.Siginfo(user[:arch.RecordSize])
}

// NeedsTail reports whether the kernel looks at bytes 48 to 127 as well, so that
// they must be readable (else EFAULT) and zero (else E2BIG). pidfd_send_signal asks
// by the record's own si_signo, before it compares that with sig; rt_sigqueueinfo
// overwrites si_signo first.
func NeedsTail(s *arch.Siginfo) bool {
	return !arch.KnownCode(s.Signo(), s.Code())
}

// TailOK reports whether the kernel accepts what follows the record: false is E2BIG
// (kernel/signal.c, post_copy_siginfo_from_user, since 4.20).
//
// Precondition: tail is bytes 48 to 127 of what the caller passed, if NeedsTail.
func TailOK(s *arch.Siginfo, tail []byte) bool {
	if !NeedsTail(s) {
		return true
	}
	for _, b := range tail[:arch.SiginfoSize-arch.RecordSize] {
		if b != 0 {
			return false
		}
	}
	return true
}

// EncodeSiginfo makes the siginfo_t that a 64-bit receiver gets of a record.
func EncodeSiginfo(s *arch.Siginfo) [arch.SiginfoSize]byte {
	var user [arch.SiginfoSize]byte
	copy(user[:], s[:])
	return user
}
