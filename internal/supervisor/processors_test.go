package supervisor

import (
	"runtime"
	"testing"
)

func TestProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for had, want := range map[int]int{1: 4, 2: 4, 4: 4, 6: 6, 64: 8} {
		runtime.GOMAXPROCS(had)
		if got := processors(); got != want || got != runtime.GOMAXPROCS(0) {
			t.Errorf("%d processors became %d and %d, want %d", had, got, runtime.GOMAXPROCS(0), want)
		}
	}
}
