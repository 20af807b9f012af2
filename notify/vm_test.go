package notify

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// seccompData is struct seccomp_data as a filter's loads see it.
type seccompData struct {
	nr, arch uint32
	args     [6]uint64
}

func (d seccompData) String() string {
	return fmt.Sprintf("arch %#x, nr %#x, args %#x", d.arch, d.nr, d.args)
}

// bytes lays the words out big-endian, because that is how the VM loads; the low
// half of an argument stays in front of its high half, as on x86.
func (d seccompData) bytes() []byte {
	be := binary.BigEndian
	b := be.AppendUint32(nil, d.nr)
	b = be.AppendUint32(b, d.arch)
	b = be.AppendUint64(b, 0xdecafbad_decafbad) // the instruction pointer decides nothing
	for _, arg := range d.args {
		b = be.AppendUint32(b, uint32(arg))
		b = be.AppendUint32(b, uint32(arg>>32))
	}
	return b
}

// machine runs a program in x/net/bpf's VM, which has been written from the
// instruction set and not from our assembler.
type machine struct {
	t       *testing.T
	program []unix.SockFilter
	vm      *bpf.VM
}

func compile(t *testing.T, f Filter) machine {
	t.Helper()
	program, err := Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, program)
}

func load(t *testing.T, program []unix.SockFilter) machine {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(program))
	for i, in := range program {
		raw[i] = bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	instructions, known := bpf.Disassemble(raw)
	if !known {
		t.Fatalf("an instruction that is none in\n%s", listing(program))
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatalf("%v in\n%s", err, listing(program))
	}
	return machine{t, program, vm}
}

func (m machine) run(d seccompData) uint32 {
	m.t.Helper()
	action, err := m.vm.Run(d.bytes())
	if err != nil {
		m.t.Fatalf("%v: %v", d, err)
	}
	return uint32(action)
}

func (m machine) check(d seccompData, want uint32) {
	m.t.Helper()
	if got := m.run(d); got != want {
		m.t.Errorf("%v: action %#x, want %#x", d, got, want)
	}
}

func listing(program []unix.SockFilter) string {
	var text string
	for i, in := range program {
		text += fmt.Sprintf("%3d: code %#04x jt %d jf %d k %#x\n", i, in.Code, in.Jt, in.Jf, in.K)
	}
	return text
}

// table is the oracle's own list of numbers: arch/x86/entry/syscalls/syscall_64.tbl
// and syscall_32.tbl, x32's with their mark.
var table = map[arch.ABI]map[uint32]arch.Syscall{
	arch.AMD64: {
		62: arch.Kill, 129: arch.RtSigqueueinfo, 200: arch.Tkill, 234: arch.Tgkill,
		297: arch.RtTgsigqueueinfo, 424: arch.PidfdSendSignal,
	},
	arch.I386: {
		37: arch.Kill, 178: arch.RtSigqueueinfo, 238: arch.Tkill, 270: arch.Tgkill,
		335: arch.RtTgsigqueueinfo, 424: arch.PidfdSendSignal,
	},
	arch.X32: {
		0x4000003e: arch.Kill, 0x4000020c: arch.RtSigqueueinfo, 0x400000c8: arch.Tkill, 0x400000ea: arch.Tgkill,
		0x40000218: arch.RtTgsigqueueinfo, 0x400001a8: arch.PidfdSendSignal,
	},
}

// crossedTable are numbers with the mark of the other 64-bit ABI, which kernels before 5.4
// ran where they had x32.
var crossedTable = map[uint32]arch.Syscall{
	524: arch.RtSigqueueinfo, 0x40000081: arch.RtSigqueueinfo,
	536: arch.RtTgsigqueueinfo, 0x40000129: arch.RtTgsigqueueinfo,
}

const (
	allow  = uint32(0x7fff0000) // SECCOMP_RET_ALLOW
	notif  = uint32(0x7fc00000) // SECCOMP_RET_USER_NOTIF
	enosys = uint32(0x00050026) // SECCOMP_RET_ERRNO with ENOSYS
	eperm  = uint32(0x00050001) // with EPERM
	eacces = uint32(0x0005000d) // with EACCES
)

// decide says what a filter means, rule by rule.
func decide(f Filter, d seccompData) uint32 {
	var abi arch.ABI
	switch {
	case d.arch == 0x40000003:
		abi = arch.I386
	case d.arch != 0xc000003e:
		return enosys
	case d.nr >= 0x40000000:
		abi = arch.X32
	default:
		abi = arch.AMD64
	}
	called := table[abi][d.nr]
	for _, supervised := range f.Syscalls {
		if abi != arch.I386 && crossedTable[d.nr] == supervised {
			return enosys
		}
		if called != supervised {
			continue
		}
		for _, rule := range f.Rules {
			if rule.Syscall == called && (rule.ABI == 0 || rule.ABI == abi) && allHold(rule.When, abi, d) {
				return rule.Then
			}
		}
		return f.Default
	}
	return allow
}

func allHold(conds []Cond, abi arch.ABI, d seccompData) bool {
	for _, c := range conds {
		value := d.args[c.Arg]
		holds := false
		if c.Pointer {
			holds = value == 0 || abi == arch.I386 && uint32(value) == 0
		} else {
			for _, r := range c.In {
				holds = holds || uint32(value) >= r.Low && uint32(value) <= r.High
			}
		}
		if holds == c.Not {
			return false
		}
	}
	return true
}
