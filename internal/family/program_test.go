package family

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// made are the calls of a program whose results are given, and how it ends.
func made(p shim.Program, results ...int64) (calls []uint64, value int64, done bool) {
	step := p.Next(0)
	for _, result := range results {
		if step.Done {
			break
		}
		calls = append(calls, step.Call.Nr)
		step = p.Next(result)
	}
	if !step.Done {
		calls = append(calls, step.Call.Nr)
	}
	return calls, step.Value, step.Done
}

// TestOpenFails: what cannot be made is undone, and the caller learns no more than a kernel
// without the call would tell it, but for what every kernel can lack.
func TestOpenFails(t *testing.T) {
	nr := func(calls ...arch.Syscall) (list []uint64) {
		for _, call := range calls {
			list = append(list, shim.NumberOf(call, arch.AMD64))
		}
		return list
	}
	for _, row := range []struct {
		name    string
		results []int64
		calls   []uint64
		errno   unix.Errno
	}{
		{"no memory", []int64{-int64(unix.ENOMEM)}, nr(arch.Mmap), unix.ENOMEM},
		{"mmap is refused", []int64{-int64(unix.EPERM)}, nr(arch.Mmap), unix.ENOSYS},
		{"no descriptor is left", []int64{0x1000, -int64(unix.EMFILE), 0}, nr(arch.Mmap, arch.Pipe2, arch.Munmap), unix.EMFILE},
		{"pipe2 is refused", []int64{0x1000, -int64(unix.EACCES), 0}, nr(arch.Mmap, arch.Pipe2, arch.Munmap), unix.ENOSYS},
	} {
		child := sleeper(t)
		table := newTable(t)
		target, err := table.Watch(int32(child.Process.Pid), false)
		if err != nil {
			t.Fatal(err)
		}
		calls, value, done := made(table.Open(int32(child.Process.Pid), arch.AMD64, target, false), row.results...)
		if !done || value != -int64(row.errno) || !slices.Equal(calls, row.calls) {
			t.Errorf("%s: %v, %d, done %v; want %v, %v", row.name, calls, value, done, row.calls, row.errno)
		}
		if !table.Empty() {
			t.Errorf("%s: the target is still watched", row.name)
		}
	}
}

// TestWait: waitid(P_PIDFD) is made as P_PID, and what it returns is put right.
func TestWait(t *testing.T) {
	const options = unix.WEXITED
	for _, row := range []struct {
		name     string
		m        Meaning
		options  uint64
		errno    unix.Errno
		result   int64
		want     int64
		nohanged bool
	}{
		{"a child", Meaning{}, options, 0, 0, 0, false},
		{"no child", Meaning{}, options, 0, -int64(unix.ECHILD), -int64(unix.ECHILD), false},
		{"no descriptor", Meaning{}, options, unix.EBADF, -int64(unix.ECHILD), -int64(unix.EBADF), false},
		{"not blocking, alive", Meaning{Nonblock: true}, options, 0, 0, -int64(unix.EAGAIN), true},
		{"not blocking, ended", Meaning{Nonblock: true, Ended: true}, options, 0, 0, 0, true},
		{"not blocking, and so asked", Meaning{Nonblock: true}, options | unix.WNOHANG, 0, 0, 0, true},
	} {
		p := Wait(arch.AMD64, 42, row.m, [6]uint64{3, 7, 0x1000, row.options, 0}, row.errno)
		step := p.Next(0)
		args := step.Call.Args
		if args[0] != unix.P_PID || args[1] != 42 || args[2] != 0x1000 || (args[3]&unix.WNOHANG != 0) != row.nohanged || !step.Waits {
			t.Errorf("%s: calls %+v", row.name, step)
		}
		if end := p.Next(row.result); !end.Done || end.Value != row.want {
			t.Errorf("%s: ends with %+v, want %d", row.name, end, row.want)
		}
	}
}
