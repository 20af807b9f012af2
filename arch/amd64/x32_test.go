package amd64_test

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

// i386 is held against the kernel; x32 differs in the times of SIGCHLD alone.
func TestX32IsI386ButForTimes(t *testing.T) {
	for _, shape := range shapes {
		if arch.LayoutOf(shape[0], shape[1]) == arch.SIL_CHLD {
			continue
		}
		user := pattern(shape[0], shape[1])
		if got, want := amd64.DecodeSiginfoX32(user[:]), i386.DecodeSiginfo(user[:]); got != want {
			t.Errorf("decode %x\n got   %x\n want  %x", user, got, want)
		}
		s := arch.NativeSiginfo(user[:])
		if got, want := amd64.EncodeSiginfoX32(&s), i386.EncodeSiginfo(&s); got != want {
			t.Errorf("encode %x\n got   %x\n want  %x", s, got, want)
		}
	}
}

func TestX32Times(t *testing.T) {
	user := pattern(17, 1)
	got := amd64.DecodeSiginfoX32(user[:])
	want := string(user[:12]) + "\x00\x00\x00\x00\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x00\x00\x00\x00" +
		"\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7"
	if string(got[:]) != want {
		t.Errorf("decode %x\n got   %x\n want  %x", user, got, want)
	}
	if n := testing.AllocsPerRun(1, func() { amd64.DecodeSiginfoX32(user[:]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}

	s := arch.NativeSiginfo(user[:])
	back := amd64.EncodeSiginfoX32(&s)
	want = string(user[:12]) + "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b" +
		"\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf" + string(make([]byte, 88))
	if string(back[:]) != want {
		t.Errorf("encode %x\n got   %x\n want  %x", s, back, want)
	}
}

func FuzzSiginfoX32(f *testing.F) {
	for _, shape := range shapes {
		user := pattern(shape[0], shape[1])
		f.Add(user[:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var user [arch.SiginfoSize]byte
		copy(user[:], data)
		s := amd64.DecodeSiginfoX32(user[:])
		back := amd64.EncodeSiginfoX32(&s)
		if again := amd64.DecodeSiginfoX32(back[:]); again != s {
			t.Errorf("x32    %x\n record %x\n again  %x", user, s, again)
		}
	})
}
