package kernel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// markedCalls asks for the ABIs that mark the numbers of their calls, by making one of them. A
// kernel has them where it was built with them; few are.
//
// A filter may kill who makes it (systemd's SystemCallArchitectures=native), so under
// one a child does.
func markedCalls() error {
	for _, a := range arch.ABIs {
		mark := abi.Of(a).Mark
		switch {
		case mark == 0:
			continue
		case Filtered():
			return runs(a)
		}
		asked := a.String() + " getpid"
		pid, errno := sys.Call(uintptr(unix.SYS_GETPID|mark), 0)
		if errno == 0 && int(pid) != os.Getpid() {
			return fmt.Errorf("%s: got %d", asked, pid)
		}
		return answer(asked, sys.Err(errno))
	}
	return errors.ErrUnsupported
}

// runs asks for an ABI by running a program of it.
func runs(a arch.ABI) error {
	what := "a program that calls as " + a.String()
	status, err := runProgram(what, abi.Of(a).Program())
	switch {
	case err != nil:
		return err
	case !status.Exited() && Filtered():
		return fmt.Errorf("%s: under this filter ended with %#x", what, status)
	case !status.Exited():
		return fmt.Errorf("%s: %w (it ended with %#x)", what, errors.ErrUnsupported, status)
	case status.ExitStatus() == arch.StatusDone:
		return nil
	}
	return answer(what, unix.Errno(status.ExitStatus()))
}

// widths are the trials of all ABIs but our own.
func widths() (trials []trial) {
	for _, a := range arch.ABIs {
		of := abi.Of(a)
		switch {
		case a == arch.Native:
		case of.Mark != 0:
			trials = append(trials, trial{Feature{a.String(), of.Since, of.Callers}, plain(markedCalls)})
		default:
			trials = append(trials, trial{Feature{a.String(), of.Since, of.Callers}, plain(func() error { return runs(a) })})
		}
	}
	return trials
}
