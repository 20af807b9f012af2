package notify

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// assembler writes a BPF program with labels. Conditional jumps reach 255
// instructions only, so each is followed by an unconditional one, which has 32 bits:
// programs are longer by a little and no rule is ever too far away. The program's
// size does not matter to the kernel's speed on other calls (it caches plain ALLOWs).
type assembler struct {
	code   []unix.SockFilter
	fixups map[int]label // index of a BPF_JA whose target is a label
	places []int         // by label; -1 until placed
}

type label int

func (a *assembler) label() label {
	a.places = append(a.places, -1)
	return label(len(a.places) - 1)
}

func (a *assembler) place(l label) { a.places[l] = len(a.code) }

func (a *assembler) emit(code uint16, jt, jf uint8, k uint32) {
	a.code = append(a.code, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

func (a *assembler) load(offset uint32) {
	a.emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, offset)
}

func (a *assembler) and(mask uint32) { a.emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, mask) }

func (a *assembler) ret(action uint32) { a.emit(unix.BPF_RET|unix.BPF_K, 0, 0, action) }

func (a *assembler) jump(to label) {
	if a.fixups == nil {
		a.fixups = map[int]label{}
	}
	a.fixups[len(a.code)] = to
	a.emit(unix.BPF_JMP|unix.BPF_JA, 0, 0, 0)
}

// The conditional jumps step over the jump that follows them unless it is to be taken.

func (a *assembler) jumpIfEqual(k uint32, to label) {
	a.emit(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, k)
	a.jump(to)
}

func (a *assembler) jumpUnlessEqual(k uint32, to label) {
	a.emit(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 1, 0, k)
	a.jump(to)
}

func (a *assembler) jumpIfLess(k uint32, to label) {
	a.emit(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 1, 0, k)
	a.jump(to)
}

func (a *assembler) jumpIfNotGreater(k uint32, to label) {
	a.emit(unix.BPF_JMP|unix.BPF_JGT|unix.BPF_K, 1, 0, k)
	a.jump(to)
}

func (a *assembler) assemble() ([]unix.SockFilter, error) {
	const bpfMaxInsns = 4096 // BPF_MAXINSNS, <linux/bpf_common.h>
	if len(a.code) > bpfMaxInsns {
		return nil, fmt.Errorf("compile filter: %d instructions, the kernel takes %d: use fewer register rules", len(a.code), bpfMaxInsns)
	}
	for at, to := range a.fixups {
		a.code[at].K = uint32(a.places[to] - at - 1)
	}
	return a.code, nil
}
