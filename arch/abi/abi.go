// Package abi is the table of the ABIs of this machine's kernel. Outside of arch nobody says the name
// of one, of a register or of a number: what differs between them is an entry here. Pure values.
package abi

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

// table has an entry for each of arch.ABIs, and is never written to. What has no ABI is read as
// native.
var table = [arch.ABICount]arch.Convention{
	0:          amd64.ABI(),
	arch.AMD64: amd64.ABI(),
	arch.I386:  i386.ABI(),
	arch.X32:   amd64.X32(),
}

// Of is the entry of an ABI.
func Of(a arch.ABI) *arch.Convention { return &table[a] }

// Tagged is the entry whose number a filter has given, which may be anybody's.
func Tagged(tag uint64) (*arch.Convention, bool) {
	if tag == 0 || tag >= uint64(len(table)) {
		return nil, false
	}
	return &table[tag], true
}

// Named is the ABI of a name.
func Named(name string) (arch.ABI, bool) {
	for _, a := range arch.ABIs {
		if a.String() == name {
			return a, true
		}
	}
	return 0, false
}

// Names are those of all.
func Names() []string {
	names := make([]string, len(arch.ABIs))
	for i, a := range arch.ABIs {
		names[i] = a.String()
	}
	return names
}

// Group are the ABIs that share an AUDIT_ARCH_* and tell their calls apart by a mark in the number.
type Group struct {
	Audit uint32
	ABIs  []arch.ABI
}

// Groups are all, that of the native ABI first.
func Groups() (groups []Group) {
	at := map[uint32]int{}
	for _, a := range arch.ABIs {
		i, known := at[Of(a).Audit]
		if !known {
			i = len(groups)
			at[Of(a).Audit] = i
			groups = append(groups, Group{Audit: Of(a).Audit})
		}
		groups[i].ABIs = append(groups[i].ABIs, a)
	}
	return groups
}

// pastNumbers is past the last number of any ABI in use.
const pastNumbers = 548

// Numbers are those by which an ABI makes a call, as struct seccomp_data has them.
func Numbers(what arch.Syscall, a arch.ABI) (found []uint32) {
	for nr := range uint32(pastNumbers) {
		if Of(a).Syscall(nr) == what {
			found = append(found, nr|Of(a).Mark)
		}
	}
	return found
}

// Crossed are the numbers of a call with the mark of another ABI of its group: 524 without
// x32's, 129 with it. Until 5.4 (commit "x86/syscalls: Split the x32 syscalls into their
// own table") kernels with x32 ran them; since then they are ENOSYS.
func Crossed(what arch.Syscall, a arch.ABI) (found []uint32) {
	own := Of(a)
	for nr := range uint32(pastNumbers) {
		for _, b := range arch.ABIs {
			other := Of(b)
			if b != a && other.Audit == own.Audit && other.Syscall(nr) == what && own.Syscall(nr) != what {
				found = append(found, nr|own.Mark)
			}
		}
	}
	return found
}

// StatusTrapped is how CallOnce ends where a filter traps its call.
const StatusTrapped = arch.StatusTrapped

// CallOnce is a native program that makes one call, which harms nobody if it is carried out: its
// descriptor, or pid, is -1. It ends with the errno, or with StatusTrapped.
func CallOnce(nr uint32) []byte { return amd64.CallOnce(nr) }

// EntryOf names the instruction whose bytes, and two before, those are.
func EntryOf(code [4]byte, is64 bool) arch.Entry { return amd64.EntryOf(code, is64) }

// Made is the ABI that an instruction makes calls of, but for a mark.
func Made(code [4]byte, is64 bool) *arch.Convention {
	if Agrees(arch.Native, code, is64) {
		return Of(arch.Native)
	}
	return Of(arch.I386)
}

// Agrees tells whether the instruction makes calls of an ABI.
func Agrees(a arch.ABI, code [4]byte, is64 bool) bool { return amd64.Agrees(a, code, is64) }
