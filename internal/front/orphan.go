package front

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// lost goes on without the supervisor: once it is reaped, COMMAND is our child
// (exit_notify hands children on before the end is seen).
func (f *front) lost(cause error) (status unix.WaitStatus, final bool) {
	if f.orphaned { // COMMAND's end came with no status: somebody else has reaped it
		return ourStatus(ourFailure), true
	}
	if !errors.Is(cause, io.EOF) {
		_ = unix.Kill(f.supervisor, unix.SIGKILL) //nolint:forbidigo // see above: the supervisor is our unreaped child
	}
	how := f.waitSupervisor()
	complain(fmt.Errorf("supervise: the supervisor died (%s)", describe(how)))
	if f.command == nil { // it may have died between fork and message
		pid, ok := orphanBeside(f.sentinel.pid)
		if !ok {
			return ourStatus(ourFailure), true
		}
		f.command = &command{pid: pid}
		if isIn(pid, stoppedState) { // for a tracer who never comes
			f.command.kill(unix.SIGKILL)
		}
	}
	if err := f.adopt(); err != nil {
		complain(err)
		return ourStatus(ourFailure), true
	}
	f.passEarly()
	return 0, false
}

// reapInherited reaps the children that are not ours but came with this process: those of
// the program that executed us, and, in an init, of everybody. Natively they are COMMAND's
// to wait for; that they are ours cannot be changed, so nobody else ever will.
func (f *front) reapInherited() {
	for !f.orphaned { // else a watch reaps them all
		pid, err := child(unix.WEXITED | unix.WNOHANG)
		if err != nil || pid == 0 || pid == f.supervisor || pid == f.command.pid {
			return // the latter is ours once the supervisor has died
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
	}
}

// adopt makes COMMAND's events come from a watch of our own, as messages.
func (f *front) adopt() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	_ = unix.Close(f.sock)
	f.sock, f.orphaned = pair[0], true
	go func() { // ends with the last child or with the process
		_ = f.command.watch(func(m message) { _ = m.send(pair[1]) }, nil)
		_ = unix.Close(pair[1])
	}()
	return nil
}

// orphanBeside finds COMMAND among our children, where its pid was never told: the
// supervisor started it after others that are COMMAND's, and beside programs of ours.
func orphanBeside(sentinel int) (pid int, ok bool) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, false
	}
	for _, task := range tasks {
		list, err := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(list)) {
			n := entry(word).number()
			if n == 0 || n == sentinel || ok && isOurProgram(entry(word)) {
				continue
			}
			pid, ok = n, true
		}
	}
	return pid, ok
}

// isOurProgram: an init, helpers, a tracer. One that has ended still has its name: ours, or
// the one that exec through selfExe gives.
func isOurProgram(e entry) bool {
	dir := "/proc/" + string(e)
	if ours, err := os.Stat(selfExe); err == nil {
		if theirs, err := os.Stat(dir + "/exe"); err == nil {
			return os.SameFile(ours, theirs)
		}
	}
	name, _ := os.ReadFile(dir + "/comm")
	return string(name) == program+"\n" || string(name) == "exe\n"
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
