package notify

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Every number is refused or allowed as the list says, however long the list is, and no
// other ABI's entries pass.
func TestRefusals(t *testing.T) {
	for n := range 20 {
		var refusals []Refusal
		want := map[uint32]uint32{}
		for i := range n {
			nr, errno := uint32(7*i+3), unix.EPERM
			if i%3 == 0 {
				errno = unix.ENOSYS
			}
			refusals = append(refusals, Refusal{Nr: nr, Errno: errno})
			want[nr] = unix.SECCOMP_RET_ERRNO | uint32(errno)
		}
		program, err := CompileRefusals(refusals)
		if err != nil {
			t.Fatal(err)
		}
		m := load(t, program)
		m.check(seccompData{nr: 39 | 0x40000000, arch: x86_64}, allow)
		for nr := range uint32(600) {
			action, refused := want[nr]
			if !refused {
				action = allow
			}
			m.check(seccompData{nr: nr, arch: x86_64}, action)
			m.check(seccompData{nr: nr, arch: x86_32}, unix.SECCOMP_RET_ERRNO|1)
			if nr != 39 { // getpid
				m.check(seccompData{nr: nr | 0x40000000, arch: x86_64}, unix.SECCOMP_RET_ERRNO|1)
			}
			m.check(seccompData{nr: nr | 0x80000000, arch: x86_64}, unix.SECCOMP_RET_ERRNO|1)
		}
	}
}

// Conditions look at the low half of an argument, and each refusal of a number has its own.
func TestRefusalsWithConditions(t *testing.T) {
	program, err := CompileRefusals([]Refusal{
		{Nr: 9, Errno: unix.EPERM, When: []Cond{{Arg: 2, Mask: 6, In: []Range{{6, 6}}}}},
		{Nr: 9, Errno: unix.EACCES, When: []Cond{{Arg: 0, In: []Range{{5, 5}}}}},
		{Nr: 41, Errno: unix.EPERM, When: []Cond{{Arg: 0, Not: true, In: []Range{{1, 2}, {10, 10}}}}},
		{Nr: 60, Errno: unix.EPERM},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, program)
	const eperm, eacces = unix.SECCOMP_RET_ERRNO | 1, unix.SECCOMP_RET_ERRNO | 13
	for _, row := range []struct {
		nr   uint32
		args [6]uint64
		want uint32
	}{
		{9, [6]uint64{0, 0, 7}, eperm},
		{9, [6]uint64{0, 0, poison | 6}, eperm},
		{9, [6]uint64{0, 0, 5}, allow},
		{9, [6]uint64{5, 0, 5}, eacces},
		{9, [6]uint64{5, 0, 6}, eperm},
		{41, [6]uint64{0}, eperm},
		{41, [6]uint64{1}, allow},
		{41, [6]uint64{poison | 2}, allow},
		{41, [6]uint64{3}, eperm},
		{41, [6]uint64{10}, allow},
		{41, [6]uint64{poison | 16}, eperm},
		{60, [6]uint64{}, eperm},
		{61, [6]uint64{}, allow},
	} {
		m.check(seccompData{nr: row.nr, arch: x86_64, args: row.args}, row.want)
	}
}
