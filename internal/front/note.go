package front

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// note is a siginfo_t as the handler got it: si_signo 0, si_code 8, si_pid 16,
// si_uid 20, si_value 24 (<asm-generic/siginfo.h>, 64-bit).
type note [noteSize]byte

const (
	siUser   = 0
	siQueue  = -1
	siTkill  = -6
	siKernel = 0x80
)

func (n *note) signal() unix.Signal { return unix.Signal(n.int32At(0)) }
func (n *note) code() int32         { return n.int32At(8) }
func (n *note) pid() int32          { return n.int32At(16) }

// isAnonymous: the siginfo was lost, or a process outside of our pid namespace sent it.
func (n *note) isAnonymous() bool { return n.code() == siUser && n.pid() == 0 }

// set makes n a record of sig with nobody to name, which a plain kill passes on.
func (n *note) set(sig unix.Signal) {
	binary.LittleEndian.PutUint32(n[0:], uint32(sig))
	binary.LittleEndian.PutUint32(n[8:], siKernel)
}

func (n *note) int32At(offset int) int32 {
	return int32(binary.LittleEndian.Uint32(n[offset:]))
}

// forAnother returns the record with which a third party may pass n on: the
// kernel refuses si_code 0 and SI_TKILL for anyone but oneself
// (kernel/signal.c, do_rt_sigqueueinfo), so those become SI_QUEUE with the
// sender's pid and uid. False means that only a plain kill will do: the kernel
// made the signal, and there is no sender to name.
func (n *note) forAnother() (note, bool) {
	out := *n
	if n.code() == siUser || n.code() == siTkill {
		binary.LittleEndian.PutUint32(out[8:], uint32(0xffffffff)) // SI_QUEUE
		clear(out[24:])
	}
	return out, n.code() <= 0
}

// parentDied is the signal of a note that says that the front's parent has died.
const parentDied = unix.Signal(127)

// passed is a note on its way to COMMAND, or to the whole of its own group. One of signal
// 0 says that the front ends of itself, and COMMAND is to live.
type passed struct {
	*note
	whole bool
}

const passedSize = noteSize + 1

func (p passed) bytes() []byte {
	if p.whole {
		return append(p.note[:], 1)
	}
	return append(p.note[:], 0)
}

func parsePassed(b [passedSize]byte) passed {
	return passed{(*note)(b[:noteSize]), b[noteSize] != 0}
}
