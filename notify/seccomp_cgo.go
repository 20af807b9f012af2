//go:build cgo

package notify

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// CompileByLibseccomp has libseccomp make the program that notifies of the calls and
// allows every other: what a container runtime would make of such a profile. It takes
// no rules, because libseccomp does not keep their order. Calls of an architecture
// that it does not know kill the thread; our own program refuses them.
func CompileByLibseccomp(syscalls []arch.Syscall) ([]unix.SockFilter, error) {
	filter, err := libseccomp.NewFilter(libseccomp.ActAllow)
	if err != nil {
		return nil, fmt.Errorf("make a libseccomp filter: %w", err)
	}
	defer filter.Release()
	for _, abi := range []libseccomp.ScmpArch{libseccomp.ArchAMD64, libseccomp.ArchX32, libseccomp.ArchX86} {
		if err := filter.AddArch(abi); err != nil {
			return nil, fmt.Errorf("add %v to a libseccomp filter: %w", abi, err)
		}
	}
	for _, syscall := range syscalls {
		number, err := libseccomp.GetSyscallFromName(syscall.String())
		if err != nil {
			return nil, fmt.Errorf("look up %v in libseccomp: %w", syscall, err)
		}
		if err := filter.AddRule(number, libseccomp.ActNotify); err != nil {
			return nil, fmt.Errorf("add %v to a libseccomp filter: %w", syscall, err)
		}
	}
	return export(filter)
}

// export goes through a file because libseccomp before 2.6 can write to nothing else.
func export(filter *libseccomp.ScmpFilter) ([]unix.SockFilter, error) {
	fd, err := unix.MemfdCreate("libseccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "libseccomp's program")
	defer file.Close()
	if err := filter.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("export libseccomp's program: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(file)
	if err != nil {
		return nil, err
	}
	return parseProgram(raw), nil
}

// parseProgram reads struct sock_filter { __u16 code; __u8 jt; __u8 jf; __u32 k; }
// one after the other (<linux/filter.h>).
func parseProgram(raw []byte) []unix.SockFilter {
	le := binary.LittleEndian
	var program []unix.SockFilter
	for ; len(raw) >= 8; raw = raw[8:] {
		program = append(program, unix.SockFilter{Code: le.Uint16(raw), Jt: raw[2], Jf: raw[3], K: le.Uint32(raw[4:])})
	}
	return program
}
