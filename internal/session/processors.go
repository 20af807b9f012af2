package session

import "runtime"

// twoProcessors keeps the scheduler's monitor asleep where there is one CPU. A worker is in
// a system call nearly always. Where that holds the only processor the monitor looks after
// it every 20 us, to take it away, on the CPU that caller and worker share; while another
// processor is idle it lets the call be for 10 ms (runtime/proc.go, retake).
func twoProcessors() {
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
}
