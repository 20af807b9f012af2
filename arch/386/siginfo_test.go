package i386_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
)

// Byte i of each input is 0x80+i, but for si_signo and si_code: every sign is
// negative, and what is dropped shows. Records are given from byte 12 on.
var layouts = []struct {
	name        string
	signo, code int32
	record      string // what i386 bytes become
	back        string // what i386 gets of a record of the same pattern
}{
	{
		"KILL", 15, arch.SI_USER,
		"00000000 8c8d8e8f 90919293 0000000000000000 0000000000000000 0000000000000000",
		"90919293 94959697 00000000 00000000 00000000",
	},
	{
		"RT", 15, arch.SI_QUEUE,
		"00000000 8c8d8e8f 90919293 94959697 00000000 0000000000000000 0000000000000000",
		"90919293 94959697 98999a9b 00000000 00000000",
	},
	{
		"TIMER", 15, arch.SI_TIMER,
		"00000000 8c8d8e8f 90919293 94959697 00000000 0000000000000000 0000000000000000",
		"90919293 94959697 98999a9b 00000000 00000000",
	},
	{
		"POLL", 15, arch.SI_SIGIO,
		"00000000 8c8d8e8f ffffffff 90919293 00000000 0000000000000000 0000000000000000",
		"90919293 98999a9b 00000000 00000000 00000000",
	},
	{
		"POLL of a plain signal", 15, 6,
		"00000000 8c8d8e8f ffffffff 90919293 00000000 0000000000000000 0000000000000000",
		"90919293 98999a9b 00000000 00000000 00000000",
	},
	{
		"FAULT", 11, 1,
		"00000000 8c8d8e8f 00000000 0000000000000000 0000000000000000 0000000000000000",
		"90919293 00000000 00000000 00000000 00000000",
	},
	{
		"MCEERR", 7, 4,
		"00000000 8c8d8e8f 00000000 9091000000000000 0000000000000000 0000000000000000",
		"90919293 98990000 00000000 00000000 00000000",
	},
	{
		"BNDERR", 11, 3,
		"00000000 8c8d8e8f 00000000 0000000000000000 94959697 00000000 98999a9b 00000000",
		"90919293 00000000 a0a1a2a3 a8a9aaab 00000000",
	},
	{
		"PKUERR", 11, 4,
		"00000000 8c8d8e8f 00000000 0000000000000000 94959697 00000000 0000000000000000",
		"90919293 00000000 a0a1a2a3 00000000 00000000",
	},
	{
		"PERF", 5, 6,
		"00000000 8c8d8e8f 00000000 90919293 00000000 94959697 98999a9b 0000000000000000",
		"90919293 98999a9b a0a1a2a3 a4a5a6a7 00000000",
	},
	{
		"CHLD", 17, 1,
		"00000000 8c8d8e8f 90919293 94959697 00000000 98999a9b ffffffff 9c9d9e9f ffffffff",
		"90919293 94959697 98999a9b a0a1a2a3 a8a9aaab",
	},
	{
		"SYS", 31, 1,
		"00000000 8c8d8e8f 00000000 90919293 94959697 0000000000000000 0000000000000000",
		"90919293 98999a9b 9c9d9e9f 00000000 00000000",
	},
}

func TestDecodeSiginfo(t *testing.T) {
	for _, test := range layouts {
		t.Run(test.name, func(t *testing.T) {
			user := pattern(test.signo, test.code)
			got := i386.DecodeSiginfo(user[:])
			want := append(user[:12:12], fromHex(t, test.record)...)
			if string(got[:]) != string(want) {
				t.Errorf("i386   %x\n got    %x\n want   %x", user, got, want)
			}
			if n := testing.AllocsPerRun(1, func() { i386.DecodeSiginfo(user[:]) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func TestEncodeSiginfo(t *testing.T) {
	for _, test := range layouts {
		t.Run(test.name, func(t *testing.T) {
			user := pattern(test.signo, test.code)
			s := arch.Siginfo(user[:arch.RecordSize])
			got := i386.EncodeSiginfo(&s)
			var want [arch.SiginfoSize]byte
			copy(want[:12], s[:])
			copy(want[12:], fromHex(t, test.back))
			if got != want {
				t.Errorf("record %x\n got    %x\n want   %x", s, got, want)
			}
		})
	}
}

// Decoding is what the kernel keeps, so doing it again changes nothing.
func FuzzSiginfo(f *testing.F) {
	for _, test := range layouts {
		user := pattern(test.signo, test.code)
		f.Add(user[:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var user [arch.SiginfoSize]byte
		copy(user[:], data)
		s := i386.DecodeSiginfo(user[:])
		back := i386.EncodeSiginfo(&s)
		if again := i386.DecodeSiginfo(back[:]); again != s {
			t.Errorf("i386   %x\n record %x\n again  %x", user, s, again)
		}
		if s.Pid() != int32At(user[:], 12) && s.Layout().HasSender() {
			t.Errorf("si_pid of %x is %d", user, s.Pid())
		}
	})
}

func int32At(b []byte, at int) int32 {
	return int32(b[at]) | int32(b[at+1])<<8 | int32(b[at+2])<<16 | int32(b[at+3])<<24
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

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
