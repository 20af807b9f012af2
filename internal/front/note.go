package front

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// note is a siginfo_t as the handler got it: si_signo 0, si_code 8, si_pid 16,
// si_uid 20, si_value 24 (<asm-generic/siginfo.h>, 64-bit).
type note [noteSize]byte

const (
	siUser  = 0
	siQueue = -1
	siTkill = -6
)

func (n *note) signal() unix.Signal { return unix.Signal(n.int32At(0)) }
func (n *note) code() int32         { return n.int32At(8) }
func (n *note) pid() int32          { return n.int32At(16) }

// isAnonymous: the siginfo was lost, or a process outside of our pid namespace sent it.
func (n *note) isAnonymous() bool { return n.code() == siUser && n.pid() == 0 }

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
