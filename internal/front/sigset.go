package front

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// sigset is the kernel's sigset_t: bit n-1 is signal n.
type sigset uint64

const (
	everything sigset = ^sigset(0)
	lastSignal        = unix.Signal(64)
)

// blocked is what threads of ours block: not SIGSYS, of which a process dies that is
// trapped by a filter while it is blocked (kernel/signal.c, force_sig_info_to_task).
const blocked = everything &^ (1 << (unix.SIGSYS - 1))

func setOf(sigs ...unix.Signal) (set sigset) {
	for _, sig := range sigs {
		set |= 1 << (sig - 1)
	}
	return set
}

func (s sigset) has(sig unix.Signal) bool { return s&(1<<(sig-1)) != 0 }

func (s sigset) signals() (sigs []unix.Signal) {
	for sig := unix.Signal(1); sig <= lastSignal; sig++ {
		if s.has(sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}

// faults are the signals that code of our own can cause: kept by the Go runtime
// where the kernel made them (si_code above 0).
func faults() sigset {
	return setOf(unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP)
}

// routeToOneThread has every signal taken by one thread, so that notes are in the order of
// delivery, and no thread waits in the handler for a full pipe while it holds what
// the reader needs to run. The runtime cannot be told: it unblocks what would kill
// a Go program in every thread (blockableSig in runtime/signal_unix.go). So each
// other thread is interrupted once, by a signal from ourselves, and the handler
// blocks there, faults of our own included, which then just kill. A thread that is
// made later gives back the first one it gets; so that there is none, the runtime
// gets a few to keep, and one processor.
func routeToOneThread() error {
	runtime.GOMAXPROCS(1)
	spareThreads(3)
	ownPid = int32(os.Getpid())
	notTaken = blocked
	never, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	ready := make(chan struct{})
	go takeSignals(never, ready)
	<-ready
	tids, err := threads()
	if err != nil {
		return err
	}
	for _, tid := range tids {
		if tid != int(taker) && tid != unix.Gettid() {
			_ = unix.Tgkill(int(ownPid), tid, routed)
		}
	}
	return nil
}

// routed is what each other thread is interrupted by.
const routed = unix.SIGPROF

// spareThreads makes n threads, which the runtime keeps when they are free.
func spareThreads(n int) {
	var all, done sync.WaitGroup
	all.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread() // one thread each while all are there
			defer runtime.UnlockOSThread()
			all.Done()
			all.Wait()
		})
	}
	done.Wait()
}

// takeSignals is that thread. It takes also what was blocked when we were started:
// natively that would be pending in COMMAND. It waits in a read, which the kernel
// restarts after a handler: with poll it came back to Go code each time, and a
// handler that then waits for a full pipe keeps the reader from the processor.
func takeSignals(never int, ready chan<- struct{}) {
	runtime.LockOSThread()
	taker = int32(unix.Gettid())
	close(ready)
	var counter [8]byte
	for {
		setMask(0)
		_, _ = unix.Read(never, counter[:])
	}
}

// threadSignals are 32 and 33, by which glibc and the Go runtime reach their own
// threads; 34 is musl's, which we never run on.
func threadSignals() sigset { return setOf(32, 33) }

// catchAll makes our handler that of every signal of set, the faults among them
// going to the Go runtime as before. What the handler sees is written to fd, or
// dropped if fd is 0.
//
// The Go runtime would die with a stack trace of a SIGQUIT or of a SIGSEGV that
// somebody sent, and os/signal gives no siginfo.
func catchAll(set sigset, fd int) error {
	notes = int32(fd)
	for _, sig := range (set & faults()).signals() {
		old, err := handlerOf(sig)
		if err != nil {
			return err
		}
		goHandlers[sig] = old
	}
	for _, sig := range (set &^ setOf(unix.SIGKILL, unix.SIGSTOP)).signals() {
		if err := catch(sig); err != nil {
			return err
		}
	}
	return nil
}

// Hear gives sig back to the Go runtime, whose handler is one and the same for all.
// Precondition: signal.Notify was called for it: the runtime's own way with a signal can
// be to end the process.
func Hear(sig unix.Signal) error {
	handler := goHandlers[unix.SIGSEGV]
	if handler == 0 { // nothing was caught: the runtime has it
		return nil
	}
	return rtSigaction(sig, &sigaction{
		handler: handler, restorer: restorerAddress(), mask: everything,
		flags: saSiginfo | saRestorer | saOnstack | saRestart,
	}, nil)
}
