package shim_test

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

func TestDecode(t *testing.T) {
	const poison = 0xdefaced0_0000_0000
	raw := [6]uint64{poison | 7, poison | 9, poison | 4096, poison, poison, poison}
	cut := arch.Args{7, 9, 4096}
	rows := []struct {
		name     string
		arch, nr uint32
		want     arch.Syscall
		abi      arch.ABI
		wantNr   uint32
		args     arch.Args
	}{
		{"amd64", 0xc000003e, 424, arch.PidfdSendSignal, arch.AMD64, 424, raw},
		{"amd64 kill", 0xc000003e, 62, arch.Kill, arch.AMD64, 62, raw},
		{"x32", 0xc000003e, 0x400001a8, arch.PidfdSendSignal, arch.X32, 424, raw},
		{"x32 rt_sigqueueinfo", 0xc000003e, 0x4000020c, arch.RtSigqueueinfo, arch.X32, 524, raw},
		{"i386", 0x40000003, 424, arch.PidfdSendSignal, arch.I386, 424, cut},
		{"i386 kill", 0x40000003, 37, arch.Kill, arch.I386, 37, cut},
		{"i386 with x32's mark", 0x40000003, 0x400001a8, arch.NoSyscall, arch.I386, 0x400001a8, cut},
		{"unknown number", 0xc000003e, 425, arch.NoSyscall, arch.AMD64, 425, raw},
		{"unknown architecture", 0xc00000b7, 424, arch.NoSyscall, 0, 424, raw},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			// A worker's Call still holds what the last call left in it.
			c := shim.Call{ABI: arch.X32, Nr: 1, Args: arch.Args{1, 2, 3, 4, 5, 6}}
			c.Frame = arch.Frame{Arch: row.arch, Nr: row.nr, Raw: raw}
			if got := c.Decode(); got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
			if c.ABI != row.abi || c.Nr != row.wantNr || c.Args != row.args {
				t.Errorf("abi %v, nr %#x, args %#x, want %v, %#x, %#x", c.ABI, c.Nr, c.Args, row.abi, row.wantNr, row.args)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	if got := shim.Fail(0); got != shim.Return(0) {
		t.Errorf("Fail(0) is %v, want success", got)
	}
	for want, v := range map[string]shim.Verdict{
		"return -1": shim.Return(-1), "fail EPERM": shim.Fail(1), "pass": shim.Pass(), "later": shim.Later(),
		"gone": shim.Gone(), "run 62": shim.Run(shim.Rewrite{Nr: 62}), "invalid": {},
	} {
		if v.String() != want {
			t.Errorf("%q, want %q", v, want)
		}
	}
}
