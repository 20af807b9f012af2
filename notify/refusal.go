package notify

import (
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Refusal answers a call of a 64-bit program of ours with an errno, where all conditions
// hold.
type Refusal struct {
	Nr    uint32
	When  []Cond
	Errno unix.Errno
}

// CompileRefusals makes the program of a filter that is for ourselves, not for a caller:
// what no refusal matches is allowed, and no entry of another ABI is (EPERM), but for the
// call by which kernel.ForRun asks whether there are any.
func CompileRefusals(refusals []Refusal) ([]unix.SockFilter, error) {
	var a assembler
	foreign, ours, allowed := a.label(), a.label(), a.label()
	a.load(offsetArch)
	a.jumpUnlessEqual(arch.NativeAudit, foreign)
	a.load(offsetNr)
	a.jumpIfLess(arch.ForeignMark, ours)
	a.jumpIfEqual(arch.ForeignMark|unix.SYS_GETPID, allowed)
	a.place(foreign)
	a.ret(answerWith(unix.EPERM))
	a.place(allowed)
	a.ret(unix.SECCOMP_RET_ALLOW)

	a.place(ours)
	byNumber := map[uint32][]Refusal{}
	for _, r := range refusals {
		byNumber[r.Nr] = append(byNumber[r.Nr], r)
	}
	a.refuse(slices.Sorted(maps.Keys(byNumber)), byNumber)
	return a.assemble()
}

func answerWith(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// refuse searches the number in the accumulator by halves: before 5.11 (commit
// "seccomp/cache: Add "emulator" to check if filter is constant allow") the kernel runs
// the program for each of our calls.
func (a *assembler) refuse(numbers []uint32, refusals map[uint32][]Refusal) {
	if half := len(numbers) / 2; half > 0 {
		lower := a.label()
		a.jumpIfLess(numbers[half], lower)
		a.refuse(numbers[half:], refusals)
		a.place(lower)
		a.refuse(numbers[:half], refusals)
		return
	}
	allowed := a.label()
	for _, nr := range numbers {
		a.jumpUnlessEqual(nr, allowed)
		for _, r := range refusals[nr] {
			next := a.label()
			for _, cond := range r.When {
				cond.compile(a, arch.Native, next)
			}
			a.ret(answerWith(r.Errno))
			a.place(next)
		}
	}
	a.place(allowed)
	a.ret(unix.SECCOMP_RET_ALLOW)
}

// InstallRefusals puts such a program on the calling thread, and what it refuses into the
// kernel's log where that is asked for and can be had (4.14). Without SPEC_ALLOW (4.17)
// kernels before 5.16 take a filter for a sandbox of hostile code, and slow it down.
// Precondition: no_new_privs.
func InstallRefusals(program []unix.SockFilter, logged bool) error {
	log := uint(0)
	if logged {
		log = unix.SECCOMP_FILTER_FLAG_LOG
	}
	var err error
	for _, flags := range []uint{log | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, log, 0} {
		if _, err = setFilter(flags, program); !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return err
}
