package front

import "golang.org/x/sys/unix"

// sigset is the kernel's sigset_t: bit n-1 is signal n.
type sigset uint64

const (
	everything sigset = ^sigset(0)
	lastSignal        = unix.Signal(64)
)

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
