package notify

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Evaluate is what a program of Compile's says to a call, as the kernel would run it: for calls
// that a sandbox's filter answers before ours is listened to.
func Evaluate(program []unix.SockFilter, f arch.Frame) (action uint32) {
	var a uint32
	for at := 0; at < len(program); at++ {
		in := program[at]
		jump := in.Jf
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = word(f, in.K)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= in.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		case unix.BPF_JMP | unix.BPF_JA:
			at += int(in.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if a == in.K {
				jump = in.Jt
			}
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			if a >= in.K {
				jump = in.Jt
			}
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			if a > in.K {
				jump = in.Jt
			}
		}
		at += int(jump)
	}
	return refuse // none of Compile's ends without a word
}

// word is a load from struct seccomp_data: see its offsets.
func word(f arch.Frame, offset uint32) uint32 {
	switch {
	case offset == offsetNr:
		return f.Nr
	case offset == offsetArch:
		return f.Arch
	case offset < offsetArgs:
		return 0
	}
	arg := f.Raw[(offset-offsetArgs)/8]
	return uint32(arg >> ((offset - offsetArgs) % 8 * 8))
}
