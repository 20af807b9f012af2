package supervisor

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// processors sets how many threads the scheduler lets run at once. At least four: a worker
// that has been received a call finds one free then, whoever else is at something, and the
// scheduler's monitor, which looks after a system call every 20 us where it holds the last
// one, sleeps (runtime/proc.go, retake). At most eight, because the scheduler may come to
// start so many threads, and to be refused one is its end (shim.Pool).
func processors() int {
	n := min(max(runtime.GOMAXPROCS(0), 4), 8)
	if n != runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
	return n
}

// Threads are those of a command's supervisor.
func Threads() shim.Threads {
	workers := 8
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < fewDescriptors {
		workers = 3 // each has some open
	}
	return shim.Threads{Workers: workers, Spare: spare(processors())}
}

// spare is how many threads the scheduler comes to need besides the workers: one that runs on
// each processor, and one that has just handed that processor to a worker and is not yet
// listed as free (runtime/proc.go, startlockedm, stopm: on a busy machine it can be kept from that for
// long); and a few that wait in the kernel (internal/front, notice.go).
func spare(processors int) int { return 2*processors + 4 }

// fewDescriptors are as many as eight workers can have open, and what else there is.
const fewDescriptors = 128

// SharedThreads are those of an agent, for all its containers.
func SharedThreads() shim.Threads {
	return shim.Threads{Workers: 32, Spare: spare(processors()) + 2}
}

// tracerThreads are those of a tracer, which does all but what was put off itself.
func tracerThreads() shim.Threads {
	return shim.Threads{Workers: 3, Spare: spare(processors())}
}
