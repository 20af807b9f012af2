package metrics

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// addProcess adds what is told of the process itself, by the names that Prometheus's
// own clients give it.
func (c *Calls) addProcess() {
	c.Counter("process_cpu_seconds_total", "Processor time used, user and system.", processorTime)
	c.Gauge("process_resident_memory_bytes", "Resident memory.", func() float64 { return resident("/proc/self/statm") })
	c.Gauge("process_open_fds", "Open descriptors.", func() float64 { return entries("/proc/self/fd") })
	c.Gauge("process_threads", "Threads.", func() float64 { return entries("/proc/self/task") })
	c.Gauge("go_goroutines", "Goroutines.", func() float64 { return float64(runtime.NumGoroutine()) })
}

func processorTime() float64 {
	var used unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}

// resident reads the second field of a statm file, which counts pages: proc(5).
func resident(path string) float64 {
	text, _ := os.ReadFile(path)
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return float64(pages) * float64(os.Getpagesize())
}

func entries(dir string) float64 {
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	return float64(len(names))
}
