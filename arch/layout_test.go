package arch

import (
	"fmt"
	"testing"
)

func TestLayoutOf(t *testing.T) {
	tests := []struct {
		signo, from, to int32 // codes from..to
		want            Layout
	}{
		{15, -1 << 31, -61, SIL_RT}, // sampled at its ends
		{15, -60, -6, SIL_RT},
		{15, -5, -5, SIL_POLL},
		{15, -4, -3, SIL_RT},
		{15, -2, -2, SIL_TIMER},
		{15, -1, -1, SIL_RT},
		{15, 0, 0, SIL_KILL},
		{15, 1, 6, SIL_POLL},
		{15, 7, 127, SIL_KILL},
		{15, 128, 1<<31 - 1, SIL_KILL},
		{4, 1, 11, SIL_FAULT},
		{4, 12, 127, SIL_KILL},
		{5, 1, 5, SIL_FAULT},
		{5, 6, 6, SIL_FAULT_PERF_EVENT},
		{5, 7, 127, SIL_KILL},
		{7, 1, 3, SIL_FAULT},
		{7, 4, 5, SIL_FAULT_MCEERR},
		{7, 6, 6, SIL_POLL},
		{7, 7, 127, SIL_KILL},
		{8, 1, 15, SIL_FAULT},
		{8, 16, 127, SIL_KILL},
		{11, 1, 2, SIL_FAULT},
		{11, 3, 3, SIL_FAULT_BNDERR},
		{11, 4, 4, SIL_FAULT_PKUERR},
		{11, 5, 10, SIL_FAULT},
		{11, 11, 127, SIL_KILL},
		{17, 1, 6, SIL_CHLD},
		{17, 7, 127, SIL_KILL},
		{17, -1, -1, SIL_RT},
		{17, 0, 0, SIL_KILL},
		{29, 1, 6, SIL_POLL},
		{29, 7, 127, SIL_KILL},
		{31, 1, 2, SIL_SYS},
		{31, 3, 6, SIL_POLL},
		{31, 7, 127, SIL_KILL},
		{31, 128, 128, SIL_KILL},
		{0, 1, 6, SIL_POLL},
		{32, 1, 6, SIL_POLL},
		{64, 1, 6, SIL_POLL},
		{65, 1, 6, SIL_POLL},
		{-4, 1, 6, SIL_POLL},
		{-4, 7, 7, SIL_KILL},
	}
	for _, test := range tests {
		for code := int64(test.from); code <= int64(test.to); code += step(test.from, test.to) {
			if got := LayoutOf(test.signo, int32(code)); got != test.want {
				t.Errorf("LayoutOf(%d, %d) = %v, want %v", test.signo, code, got, test.want)
			}
		}
	}
}

// step visits every code of a short range and the two ends of a long one.
func step(from, to int32) int64 { return max(1, (int64(to)-int64(from))/200*200) }

func TestHasSender(t *testing.T) {
	for l := range Layout(layoutCount) {
		name := l.String()
		want := name == "KILL" || name == "RT" || name == "CHLD"
		if l.HasSender() != want {
			t.Errorf("%v.HasSender() = %v", l, !want)
		}
	}
	if got := Layout(layoutCount).String(); got != "unknown" {
		t.Errorf("layout out of range is %q", got)
	}
}

func TestKnownCode(t *testing.T) {
	limits := map[int32]int32{4: 11, 5: 6, 7: 5, 8: 15, 11: 10, 17: 6, 29: 6, 31: 2}
	for signo := int32(-1); signo <= 66; signo++ {
		limit, own := limits[signo]
		if !own {
			limit = 6
		}
		for code := int32(-70); code <= 140; code++ {
			want := code == 128 || code == -60 || code >= -7 && code <= limit
			if got := KnownCode(signo, code); got != want {
				t.Errorf("KnownCode(%d, %d) = %v, want %v", signo, code, got, want)
			}
			if named := CodeName(signo, code) != fmt.Sprint(code); named != want {
				t.Errorf("CodeName(%d, %d) = %s, but known is %v", signo, code, CodeName(signo, code), want)
			}
		}
	}
}
