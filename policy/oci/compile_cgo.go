//go:build cgo

package oci

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
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

// CompileProfile has libseccomp compile a container runtime's profile, entry by entry as
// runc does, and returns the program and libseccomp's own reading of it (PFC).
func CompileProfile(profile *specs.LinuxSeccomp) (program []unix.SockFilter, pfc string, err error) {
	filter, err := libseccomp.NewFilter(libseccomp.ActAllow)
	if err != nil {
		return nil, "", fmt.Errorf("make a libseccomp filter: %w", err)
	}
	defer filter.Release()
	for _, name := range profile.Architectures {
		abi, err := libseccomp.GetArchFromString(strings.ToLower(strings.TrimPrefix(string(name), "SCMP_ARCH_")))
		if err == nil {
			err = filter.AddArch(abi)
		}
		if err != nil {
			return nil, "", fmt.Errorf("add %v to a libseccomp filter: %w", name, err)
		}
	}
	for _, entry := range profile.Syscalls {
		if err := addEntry(filter, entry); err != nil {
			return nil, "", fmt.Errorf("add %v %v to a libseccomp filter: %w", entry.Names, entry.Args, err)
		}
	}
	if program, err = export(filter); err != nil {
		return nil, "", err
	}
	text, err := exported(filter.ExportPFC)
	return program, string(text), err
}

func addEntry(filter *libseccomp.ScmpFilter, entry specs.LinuxSyscall) error {
	action := libseccomp.ActNotify
	if entry.Action == specs.ActErrno {
		action = libseccomp.ActErrno.SetReturnCode(int16(*entry.ErrnoRet))
	}
	var conditions []libseccomp.ScmpCondition
	for _, arg := range entry.Args {
		op := libseccomp.CompareMaskedEqual
		switch arg.Op {
		case specs.OpEqualTo:
			op = libseccomp.CompareEqual
		case specs.OpNotEqual:
			op = libseccomp.CompareNotEqual
		}
		condition, err := libseccomp.MakeCondition(arg.Index, op, arg.Value, arg.ValueTwo)
		if err != nil {
			return err
		}
		conditions = append(conditions, condition)
	}
	for _, name := range entry.Names {
		number, err := libseccomp.GetSyscallFromName(name)
		if err == nil && len(conditions) == 0 {
			err = filter.AddRule(number, action)
		} else if err == nil {
			err = filter.AddRuleConditional(number, action, conditions)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func export(filter *libseccomp.ScmpFilter) ([]unix.SockFilter, error) {
	raw, err := exported(filter.ExportBPF)
	return parseProgram(raw), err
}

// exported goes through a file because libseccomp before 2.6 can write to nothing else.
func exported(write func(*os.File) error) ([]byte, error) {
	fd, err := unix.MemfdCreate("libseccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "libseccomp's program")
	defer file.Close()
	if err := write(file); err != nil {
		return nil, fmt.Errorf("export libseccomp's program: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(file)
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
