package arch

import (
	"encoding/binary"
	"testing"
)

// full is a record in which every member has another value, all of them negative
// where C lets them.
func full(signo, code int32) Siginfo {
	s := NewSiginfo(signo, 0, code)
	for i := 12; i < RecordSize; i++ {
		s[i] = 0x80 + byte(i)
	}
	return s
}

func TestDescribe(t *testing.T) {
	s := full(15, SI_QUEUE)
	binary.LittleEndian.PutUint32(s[4:], 1)
	want := []Field{
		{"si_signo", "15", "SIGTERM"},
		{"si_errno", "1", ""},
		{"si_code", "-1", "SI_QUEUE"},
		{"si_pid", "-1819111024", ""},
		{"si_uid", "2543228308", ""},
		{"si_value", "0x9f9e9d9c9b9a9998", ""},
	}
	got := Describe(&s)
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d is %v, want %v", i, got[i], want[i])
		}
	}
	s = NewSiginfo(32, 0, -8)
	if got := Describe(&s); got[0].Symbol != "" || got[2].Symbol != "" {
		t.Errorf("numbers without names have symbols: %v", got)
	}
}
