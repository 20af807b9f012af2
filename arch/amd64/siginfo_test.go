package amd64_test

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// shapes has a signal and a code for each layout, and codes that none knows.
var shapes = [][2]int32{
	{15, arch.SI_USER},
	{15, arch.SI_QUEUE},
	{15, arch.SI_TIMER},
	{15, arch.SI_SIGIO},
	{15, 6},
	{11, 1},
	{7, 4},
	{11, 3},
	{11, 4},
	{5, 6},
	{17, 1},
	{31, 1},
	{15, -1000},
	{31, 6},
	{-1, 1 << 30},
}

// The kernel does not look into a 64-bit caller's record: padding too goes through.
func TestSiginfoIsVerbatim(t *testing.T) {
	for _, shape := range shapes {
		user := pattern(shape[0], shape[1])
		s := arch.NativeSiginfo(user[:])
		if string(s[:]) != string(user[:48]) {
			t.Errorf("decode %x\n got   %x", user, s)
		}
		if short := arch.NativeSiginfo(user[:48]); short != s {
			t.Errorf("48 bytes alone decode to %x", short)
		}
		var want [arch.SiginfoSize]byte
		copy(want[:48], user[:])
		if got := s.Native(); got != want {
			t.Errorf("encode %x\n got   %x", s, got)
		}
		if n := testing.AllocsPerRun(1, func() { arch.NativeSiginfo(user[:]) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func TestTail(t *testing.T) {
	tests := []struct {
		signo, code int32
		needed      bool
	}{
		{15, -1, false},
		{15, -5, false},
		{15, -7, false},
		{15, -60, false},
		{15, 0, false},
		{15, 128, false},
		{15, 6, false},
		{15, -8, true},
		{15, -59, true},
		{15, -61, true},
		{15, -1000, true},
		{15, 0x1000, true},
		{15, 7, true},
		{31, 3, true},
	}
	for _, test := range tests {
		s := arch.NewSiginfo(test.signo, 0, test.code)
		if got := s.NeedsTail(); got != test.needed {
			t.Errorf("NeedsTail of signo %d, code %d is %v", test.signo, test.code, got)
		}
		if !test.needed && !s.TailOK(nil) {
			t.Errorf("signo %d, code %d wants a tail", test.signo, test.code)
		}
		if !s.TailOK(make([]byte, 80)) {
			t.Errorf("signo %d, code %d: a tail of zeros is refused", test.signo, test.code)
		}
		for at := range 80 {
			tail := make([]byte, 80)
			tail[at] = 0x80
			if got := s.TailOK(tail); got == test.needed {
				t.Errorf("signo %d, code %d, byte %d set: TailOK is %v", test.signo, test.code, 48+at, got)
			}
		}
	}
}

func FuzzSiginfo(f *testing.F) {
	for _, shape := range shapes {
		user := pattern(shape[0], shape[1])
		f.Add(user[:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var user [arch.SiginfoSize]byte
		copy(user[:], data)
		s := arch.NativeSiginfo(user[:])
		back := s.Native()
		if again := arch.NativeSiginfo(back[:]); again != s {
			t.Errorf("amd64  %x\n record %x\n again  %x", user, s, again)
		}
		if !s.TailOK(back[48:]) {
			t.Errorf("what we encode is E2BIG: %x", back)
		}
		if s.TailOK(user[48:]) != (!s.NeedsTail() || [80]byte(user[48:]) == [80]byte{}) {
			t.Errorf("TailOK and NeedsTail disagree on %x", user)
		}
		arch.Describe(&s)
	})
}

func pattern(signo, code int32) (user [arch.SiginfoSize]byte) {
	for i := range user {
		user[i] = 0x80 + byte(i)
	}
	s := arch.NewSiginfo(signo, 0, code)
	copy(user[:4], s[:4])
	copy(user[8:12], s[8:12])
	return user
}
