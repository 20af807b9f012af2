package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// receiver is a program that prints its pid and tid, then each signal of a few that it
// receives, as signalfd(2) shows it, until its stdin ends.
func receiver() {
	if err := receive(); err != nil {
		fmt.Fprintln(os.Stderr, "receiver:", err)
		os.Exit(1)
	}
}

func receive() error {
	set := signalSet(unix.SIGUSR1, unix.SIGUSR2, arch.SIGRTMIN+3, arch.SIGRTMIN+5)
	runtime.LockOSThread() // a signal for one thread is readable by that thread alone
	if len(os.Args) == 1 {
		// The Go runtime gives the mask that it inherited to all its threads, so
		// block here and start over. It would unblock 32 to 34 again.
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, set, nil); err != nil {
			return err
		}
		return unix.Exec("/proc/self/exe", []string{os.Args[0], "blocked"}, os.Environ())
	}
	fd, err := unix.Signalfd(-1, set, unix.SFD_CLOEXEC)
	if err != nil {
		return err
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	_, err = fmt.Println(os.Getpid(), unix.Gettid())
	for err == nil {
		err = printSignal(fd)
	}
	return err
}

// printSignal reads one struct signalfd_siginfo.
func printSignal(fd int) error {
	var info [128]byte
	if _, err := unix.Read(fd, info[:]); err != nil {
		return err
	}
	sig, code := int32(binary.LittleEndian.Uint32(info[0:])), int32(binary.LittleEndian.Uint32(info[8:]))
	value := int32(binary.LittleEndian.Uint32(info[44:])) // ssi_int
	sender := "somebody"
	if pid := binary.LittleEndian.Uint32(info[12:]); pid != 0 && pid != uint32(os.Getpid()) {
		sender = "another"
	}
	_, err := fmt.Println(arch.SignalName(sig), arch.CodeName(sig, code), value, "from", sender)
	return err
}

func signalSet(signals ...unix.Signal) *unix.Sigset_t {
	var set unix.Sigset_t
	for _, sig := range signals {
		set.Val[0] |= 1 << (sig - 1)
	}
	return &set
}
