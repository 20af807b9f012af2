package audit

import (
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// record is a siginfo as its caller has it in memory: which members there are strace takes
// from the signal and the code alone (src/printsiginfo.c), not from the kernel's layouts,
// which know of no members for a record that the kernel refuses.
type record struct {
	user *[arch.RecordSize]byte
	wide bool // 64-bit layout
}

func (r record) u32(wide, narrow int) uint32 {
	if !r.wide {
		wide = narrow
	}
	return binary.LittleEndian.Uint32(r.user[wide:])
}

// word is a long or a pointer.
func (r record) word(wide, narrow int) uint64 {
	if !r.wide {
		return uint64(binary.LittleEndian.Uint32(r.user[narrow:]))
	}
	return binary.LittleEndian.Uint64(r.user[wide:])
}

func (r record) long(wide, narrow int) int64 {
	if !r.wide {
		return int64(int32(r.u32(wide, narrow)))
	}
	return int64(r.word(wide, narrow))
}

// appendRecord writes a siginfo as strace does.
func appendRecord(dst []byte, r record) []byte {
	signo, errno, code := int32(r.u32(0, 0)), r.u32(4, 4), int32(r.u32(8, 8))
	if signo == 0 {
		return append(dst, "{}"...)
	}
	dst = appendStraceSignal(append(dst, "{si_signo="...), signo)
	dst = appendCode(append(dst, ", si_code="...), signo, code)
	if errno != 0 {
		dst = appendRecordErrno(append(dst, ", si_errno="...), errno)
	}
	if code <= 0 {
		dst = appendFromUser(dst, r, code)
	} else {
		dst = appendFromKernel(dst, r, signo, code)
	}
	return append(dst, '}')
}

// appendCode writes unknown codes in hexadecimal. strace has no names for those of other
// architectures, and gives POLL_* to SIGIO alone.
func appendCode(dst []byte, signo, code int32) []byte {
	name := ""
	if arch.KnownCode(signo, code) {
		name = arch.CodeName(signo, code)
	}
	foreign := strings.HasPrefix(name, "__") || strings.HasPrefix(name, "POLL_") && unix.Signal(signo) != unix.SIGIO
	if name == "" || foreign || name == "SEGV_CPERR" {
		return appendHex(dst, uint64(uint32(code)))
	}
	return append(dst, name...)
}

// appendFromUser writes the members of a record that a program made.
func appendFromUser(dst []byte, r record, code int32) []byte {
	switch code {
	case arch.SI_USER, arch.SI_TKILL:
		return r.appendSender(dst)
	case arch.SI_TIMER:
		dst = appendHex(append(dst, ", si_timerid="...), uint64(r.u32(16, 12)))
		dst = appendInt(dst, ", si_overrun=", int64(int32(r.u32(20, 16))))
		return r.appendValue(dst)
	case arch.SI_SIGIO:
		return r.appendBand(dst)
	}
	dst = r.appendSender(dst)
	if r.word(24, 20) != 0 {
		dst = r.appendValue(dst)
	}
	return dst
}

// appendFromKernel writes the members of a record with a code of the kernel's own.
func appendFromKernel(dst []byte, r record, signo, code int32) []byte {
	switch unix.Signal(signo) {
	case unix.SIGCHLD:
		return r.appendChild(r.appendSender(dst), code)
	case unix.SIGILL, unix.SIGFPE, unix.SIGTRAP:
		return appendPointer(append(dst, ", si_addr="...), r.word(16, 12))
	case unix.SIGSEGV, unix.SIGBUS:
		return r.appendFault(appendPointer(append(dst, ", si_addr="...), r.word(16, 12)), unix.Signal(signo), code)
	case unix.SIGIO:
		if !arch.KnownCode(signo, code) || code == arch.SI_KERNEL {
			return dst
		}
		return r.appendBand(dst)
	case unix.SIGSYS:
		dst = appendPointer(append(dst, ", si_call_addr="...), r.word(16, 12))
		dst = appendUint(dst, ", si_syscall=", uint64(r.u32(24, 16)))
		return appendArch(append(dst, ", si_arch="...), r.u32(28, 20))
	}
	if r.u32(16, 12) != 0 || r.u32(20, 16) != 0 {
		dst = r.appendSender(dst)
	}
	if r.word(24, 20) != 0 {
		dst = r.appendValue(dst)
	}
	return dst
}

func (r record) appendSender(dst []byte) []byte {
	dst = appendInt(dst, ", si_pid=", int64(int32(r.u32(16, 12))))
	if uid := r.u32(20, 16); uid != ^uint32(0) {
		return appendUint(dst, ", si_uid=", uint64(uid))
	}
	return append(dst, ", si_uid=-1"...)
}

func (r record) appendValue(dst []byte) []byte {
	dst = appendInt(dst, ", si_int=", int64(int32(r.u32(24, 20))))
	return appendPointer(append(dst, ", si_ptr="...), r.word(24, 20))
}

func (r record) appendBand(dst []byte) []byte {
	dst = appendInt(dst, ", si_band=", r.long(16, 12))
	return appendInt(dst, ", si_fd=", int64(int32(r.u32(24, 16))))
}

func (r record) appendChild(dst []byte, code int32) []byte {
	const exited = 1 // CLD_EXITED
	dst = append(dst, ", si_status="...)
	if status := int32(r.u32(24, 20)); code == exited {
		dst = strconv.AppendInt(dst, int64(status), 10)
	} else {
		dst = appendStraceSignal(dst, status)
	}
	dst = r.appendClock(append(dst, ", si_utime="...), 32, 24)
	return r.appendClock(append(dst, ", si_stime="...), 40, 28)
}

// appendClock writes ticks, of which a second has 100 (USER_HZ).
func (r record) appendClock(dst []byte, wide, narrow int) []byte {
	ticks := uint64(r.long(wide, narrow))
	dst = strconv.AppendUint(dst, ticks, 10)
	if ticks == 0 {
		return dst
	}
	dst = strconv.AppendUint(append(dst, " /* "...), ticks/100, 10)
	return append(dst, '.', byte('0'+ticks%100/10), byte('0'+ticks%10), ' ', 's', ' ', '*', '/')
}

func (r record) appendFault(dst []byte, sig unix.Signal, code int32) []byte {
	const (
		mceerrAR, mceerrAO = 4, 5 // of SIGBUS
		bndErr, pkuErr     = 3, 4 // of SIGSEGV
	)
	switch {
	case sig == unix.SIGBUS && (code == mceerrAR || code == mceerrAO):
		return appendHex(append(dst, ", si_addr_lsb="...), uint64(uint16(r.u32(24, 16))))
	case sig == unix.SIGSEGV && code == bndErr:
		dst = appendPointer(append(dst, ", si_lower="...), r.word(32, 20))
		return appendPointer(append(dst, ", si_upper="...), r.word(40, 24))
	case sig == unix.SIGSEGV && code == pkuErr:
		return appendUint(dst, ", si_pkey=", uint64(r.u32(32, 20)))
	}
	return dst
}

// appendArch writes an AUDIT_ARCH_* of the machines that we run on.
func appendArch(dst []byte, number uint32) []byte {
	if name := arch.AuditName(number); name != "" {
		return append(dst, name...)
	}
	return append(appendHex(dst, uint64(number)), " /* AUDIT_ARCH_??? */"...)
}

// appendStraceSignal counts real-time signals as the kernel does, from 32 on, and not
// as the C library, which keeps the first two.
func appendStraceSignal(dst []byte, sig int32) []byte {
	const rtmin = 32 // SIGRTMIN of <asm/signal.h>
	switch {
	case sig == rtmin:
		return append(dst, "SIGRTMIN"...)
	case sig > rtmin && sig <= arch.SIGRTMAX:
		return strconv.AppendInt(append(dst, "SIGRT_"...), int64(sig-rtmin), 10)
	}
	return append(dst, arch.SignalName(sig)...)
}

// appendHex writes 0 without a prefix, as %#x does.
func appendHex(dst []byte, n uint64) []byte {
	if n == 0 {
		return append(dst, '0')
	}
	return strconv.AppendUint(append(dst, "0x"...), n, 16)
}

func appendPointer(dst []byte, addr uint64) []byte {
	if addr == 0 {
		return append(dst, "NULL"...)
	}
	return appendHex(dst, addr)
}

// appendRecordErrno has names for the kernel's own numbers too (include/linux/errno.h).
func appendRecordErrno(dst []byte, n uint32) []byte {
	if i := n - 512; int64(i) < int64(len(innerErrnos)) && innerErrnos[i] != "" {
		return append(dst, innerErrnos[i]...)
	}
	switch {
	case unix.Errno(n) == unix.EOPNOTSUPP:
		return append(dst, "EOPNOTSUPP"...)
	case unix.Errno(n) == unix.EUCLEAN:
		return append(dst, "EUCLEAN"...)
	case n <= uint32(unix.EHWPOISON):
		return append(dst, errnoName(unix.Errno(n))...)
	}
	return strconv.AppendUint(dst, uint64(n), 10)
}

// innerErrnos are those that no call returns, from 512 on; never written to.
var innerErrnos = [...]string{
	"ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND", "ENOIOCTLCMD", "ERESTART_RESTARTBLOCK", "EPROBE_DEFER",
	"EOPENSTALE", "ENOPARAM", "", "EBADHANDLE", "ENOTSYNC", "EBADCOOKIE", "ENOTSUPP", "ETOOSMALL",
	"ESERVERFAULT", "EBADTYPE", "EJUKEBOX", "EIOCBQUEUED", "ERECALLCONFLICT",
}
