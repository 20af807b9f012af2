package session

import (
	"runtime"
	"testing"
)

func TestTwoProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for had, want := range map[int]int{1: 2, 2: 2, 4: 4} {
		runtime.GOMAXPROCS(had)
		twoProcessors()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%d processors became %d, want %d", had, got, want)
		}
	}
}
