package arch

import "encoding/binary"

// Widen makes a record of the 32-bit layout that i386 and x32 share, as the kernel
// does for their callers (kernel/signal.c, post_copy_siginfo_from_user32): member by
// member, whatever belongs to none is dropped. The times of SIL_CHLD, in which the
// two differ, are left 0 for SetTimes.
//
// Precondition: len(user) >= SiginfoSize.
func Widen(user []byte) Siginfo {
	var s Siginfo
	copy(s[:12], user) // si_signo, si_errno and si_code are where a record has them
	for _, m := range s.members() {
		if m.at32 != 0 {
			m.store(&s, m.kind.extend(user[m.at32:], m.kind.size32()))
		}
	}
	return s
}

// Narrow is the way back, as a receiver with 32-bit layout sees a record
// (kernel/signal.c, copy_siginfo_to_external32): wide members lose their upper half,
// all else is 0. Again without the times of SIL_CHLD.
func Narrow(s *Siginfo) [SiginfoSize]byte {
	var user [SiginfoSize]byte
	copy(user[:12], s[:])
	for _, m := range s.members() {
		if m.at32 != 0 {
			putLow(user[m.at32:], m.kind.size32(), m.load(s))
		}
	}
	return user
}

// Where SIL_CHLD has its times in a 64-bit record.
const (
	utimeAt = 32
	stimeAt = 40
)

// Times are si_utime and si_stime, meaningful in SIL_CHLD.
func (s *Siginfo) Times() (utime, stime int64) {
	return int64(binary.LittleEndian.Uint64(s[utimeAt:])), int64(binary.LittleEndian.Uint64(s[stimeAt:]))
}

// SetTimes writes si_utime and si_stime.
func (s *Siginfo) SetTimes(utime, stime int64) {
	binary.LittleEndian.PutUint64(s[utimeAt:], uint64(utime))
	binary.LittleEndian.PutUint64(s[stimeAt:], uint64(stime))
}

// Layout is the record's layout.
func (s *Siginfo) Layout() Layout { return LayoutOf(s.Signo(), s.Code()) }
