package emulate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// TestMayByIDs is the whole matrix of the kernel's rule: any of the sender's effective
// and real uid is any of the target's saved and real one.
func TestMayByIDs(t *testing.T) {
	const x = 3000
	for bits := range 1 << 6 {
		id := func(bit int, otherwise uint32) uint32 {
			if bits>>bit&1 == 1 {
				return x
			}
			return otherwise
		}
		from := creds{tgid: 10, ruid: id(0, 1), euid: id(1, 2), suid: id(2, 3)}
		to := creds{tgid: 20, ruid: id(3, 4), euid: id(4, 5), suid: id(5, 6)}
		want := bits&0b000011 != 0 && bits&0b101000 != 0
		if got := mayByIDs(&task.Self{WholeUserns: true}, &from, &to); got != want {
			t.Errorf("%+v to %+v: %t, want %t", from, to, got, want)
		}
		to.tgid = from.tgid
		if !mayByIDs(&task.Self{WholeUserns: true}, &from, &to) {
			t.Errorf("%+v to its own process: refused", from)
		}
	}
}

// TestOverflowUIDIsNobody: where users can be without a number, two of them look alike.
func TestOverflowUIDIsNobody(t *testing.T) {
	from, to := creds{tgid: 1, ruid: 65534, euid: 65534, suid: 65534}, creds{tgid: 2, ruid: 65534, euid: 65534, suid: 65534}
	if mayByIDs(&task.Self{}, &from, &to) {
		t.Error("two unmapped users are taken for one")
	}
	if !mayByIDs(&task.Self{WholeUserns: true}, &from, &to) {
		t.Error("nobody may not signal itself")
	}
}

func TestMappedUID(t *testing.T) {
	const nested = "         0     100000      65536\n     65536       1000          1\n"
	for _, c := range []struct {
		text      string
		uid, want uint32
	}{
		{"         0          0 4294967295\n", 0, 0},
		{"         0          0 4294967295\n", 65534, 65534},
		{"         0          0 4294967295\n", 4294967294, 4294967294},
		{"         0          0 4294967295\n", 4294967295, ^uint32(0)},
		{nested, 0, 100000},
		{nested, 65535, 165535},
		{nested, 65536, 1000},
		{nested, 65537, ^uint32(0)},
		{"", 0, ^uint32(0)},
		{"garbage", 0, ^uint32(0)},
	} {
		if got := mappedUID(c.text, c.uid); got != c.want {
			t.Errorf("mappedUID(%q, %d) = %d, want %d", c.text, c.uid, got, c.want)
		}
	}
}

// TestDecodeSiginfoReads: how much must be readable, and what the rest must hold. The
// buffer is full of an earlier caller's bytes, which must not count.
func TestDecodeSiginfoReads(t *testing.T) {
	const unknown, asyncNL = -100, -60 // the kernel knows 0 to -7, and SI_ASYNCNL
	for _, c := range []struct {
		abi      arch.ABI
		code     int32
		readable int
		tail     byte
		want     unix.Errno
	}{
		{arch.AMD64, arch.SI_QUEUE, 0, 0, unix.EFAULT},
		{arch.AMD64, arch.SI_QUEUE, 47, 0, unix.EFAULT},
		{arch.AMD64, arch.SI_QUEUE, 48, 0, 0},
		{arch.AMD64, arch.SI_QUEUE, 128, 1, 0},
		{arch.AMD64, 77, 48, 0, unix.EFAULT},
		{arch.AMD64, 77, 127, 0, unix.EFAULT},
		{arch.AMD64, 77, 127, 1, unix.EFAULT},
		{arch.AMD64, 77, 128, 0, 0},
		{arch.AMD64, 77, 128, 1, unix.E2BIG},
		{arch.AMD64, unknown, 128, 1, unix.E2BIG},
		{arch.AMD64, unknown, 48, 0, unix.EFAULT},
		{arch.AMD64, asyncNL, 128, 1, 0},
		{arch.I386, arch.SI_QUEUE, 48, 0, unix.EFAULT},
		{arch.I386, arch.SI_QUEUE, 127, 0, unix.EFAULT},
		{arch.I386, arch.SI_QUEUE, 128, 0, 0},
		{arch.I386, 77, 128, 1, 0},
		{arch.X32, arch.SI_QUEUE, 127, 0, unix.EFAULT},
		{arch.X32, 77, 128, 1, 0},
	} {
		t.Run(fmt.Sprintf("%v/code=%d/%d bytes/tail=%d", c.abi, c.code, c.readable, c.tail), func(t *testing.T) {
			memory := bytes.Repeat([]byte{0xee}, arch.SiginfoSize) // an earlier caller's
			user := make([]byte, arch.SiginfoSize)
			binary.LittleEndian.PutUint32(user[0:], uint32(unix.SIGUSR1))
			binary.LittleEndian.PutUint32(user[8:], uint32(c.code))
			user[arch.SiginfoSize-1] = c.tail
			copy(memory, user[:c.readable])
			if _, errno := decodeSiginfo(c.abi, memory[:c.readable]); errno != c.want {
				t.Errorf("errno %v, want %v", errno, c.want)
			}
		})
	}
}
