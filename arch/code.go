package arch

import "strconv"

// CodeName returns the name of an si_code, which depends on the signal from 1 on,
// or its decimal form. POLL_* is also what F_SETSIG puts into signals that have no
// codes of their own.
func CodeName(signo, code int32) string {
	if name := knownCodeName(signo, code); name != "" {
		return name
	}
	return strconv.Itoa(int(code))
}

// knownCodeName returns "" for exactly the codes that KnownCode denies.
func knownCodeName(signo, code int32) string {
	switch code {
	case SI_USER:
		return "SI_USER"
	case SI_KERNEL:
		return "SI_KERNEL"
	case SI_QUEUE:
		return "SI_QUEUE"
	case SI_TIMER:
		return "SI_TIMER"
	case SI_MESGQ:
		return "SI_MESGQ"
	case SI_ASYNCIO:
		return "SI_ASYNCIO"
	case SI_SIGIO:
		return "SI_SIGIO"
	case SI_TKILL:
		return "SI_TKILL"
	case SI_DETHREAD:
		return "SI_DETHREAD"
	case SI_ASYNCNL:
		return "SI_ASYNCNL"
	}
	if table := meaningOf(signo); code > 0 && code <= table.limit() {
		return table.names[code-1]
	}
	return ""
}

// codes are the positive codes that one signal gives a meaning of its own.
type codes struct {
	layout Layout
	names  []string // from code 1 on
}

// limit is the signal's highest code, 0 for a signal without codes of its own.
func (c *codes) limit() int32 {
	if c == nil {
		return 0
	}
	return int32(len(c.names))
}

// meaningOf returns the codes by which a positive si_code of the signal is read.
func meaningOf(signo int32) *codes {
	if own := codesOf(signo); own != nil {
		return own
	}
	return &pollCodes
}

// codesOf returns the signal's own codes, or nil.
func codesOf(signo int32) *codes {
	switch signo {
	case sigILL:
		return &illCodes
	case sigTRAP:
		return &trapCodes
	case sigBUS:
		return &busCodes
	case sigFPE:
		return &fpeCodes
	case sigSEGV:
		return &segvCodes
	case sigCHLD:
		return &chldCodes
	case sigPOLL:
		return &pollCodes
	case sigSYS:
		return &sysCodes
	}
	return nil
}

// The signals with codes of their own, and the codes with a layout of their own.
const (
	sigILL  = 4
	sigTRAP = 5
	sigBUS  = 7
	sigFPE  = 8
	sigSEGV = 11
	sigCHLD = 17
	sigPOLL = 29
	sigSYS  = 31

	busMCEERR_AR = 4
	segvBNDERR   = 3
	segvPKUERR   = 4
	trapPERF     = 6
)

// The codes of Linux 6.18 (<asm-generic/siginfo.h>), never written to. SEGV_CPERR is
// of 6.6, TRAP_PERF of 5.13, SYS_USER_DISPATCH of 5.11.
var (
	illCodes = codes{SIL_FAULT, []string{
		"ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC", "ILL_PRVREG",
		"ILL_COPROC", "ILL_BADSTK", "ILL_BADIADDR", "__ILL_BREAK", "__ILL_BNDMOD",
	}}
	fpeCodes = codes{SIL_FAULT, []string{
		"FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES",
		"FPE_FLTINV", "FPE_FLTSUB", "__FPE_DECOVF", "__FPE_DECDIV", "__FPE_DECERR",
		"__FPE_INVASC", "__FPE_INVDEC", "FPE_FLTUNK", "FPE_CONDTRAP",
	}}
	segvCodes = codes{SIL_FAULT, []string{
		"SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR", "SEGV_ACCADI",
		"SEGV_ADIDERR", "SEGV_ADIPERR", "SEGV_MTEAERR", "SEGV_MTESERR", "SEGV_CPERR",
	}}
	busCodes = codes{SIL_FAULT, []string{
		"BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR", "BUS_MCEERR_AR", "BUS_MCEERR_AO",
	}}
	trapCodes = codes{SIL_FAULT, []string{
		"TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT", "TRAP_UNK", "TRAP_PERF",
	}}
	chldCodes = codes{SIL_CHLD, []string{
		"CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED",
	}}
	pollCodes = codes{SIL_POLL, []string{
		"POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP",
	}}
	sysCodes = codes{SIL_SYS, []string{"SYS_SECCOMP", "SYS_USER_DISPATCH"}}
)
