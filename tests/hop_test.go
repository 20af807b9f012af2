package tests

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tracing are the modes in which a thread of the supervisor traces processes that are
// the supervisor's own children: in one the caller, in the other the target.
var tracing = []string{"caller", "emulate"}

// callsOfItsOwn is COMMAND: it prints its pid and calls for ever, on itself.
func callsOfItsOwn(t *testing.T) string {
	t.Helper()
	const source = `
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	long fd = syscall(434, getpid(), 0);
	sigset_t usr2;
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2); /* what is ignored would need nobody to be held */
	sigprocmask(SIG_BLOCK, &usr2, 0);
	if (fork() == 0) { /* COMMAND is the target of this one */
		while (getppid() != 1)
			if (syscall(424, fd, SIGUSR2, 0L, 0L))
				break;
		_exit(0);
	}
	printf("%d\n", getpid());
	fflush(stdout);
	for (;;)
		syscall(424, fd, SIGUSR2, 0L, 0L);
}`
	bin := filepath.Join(mustBuildDir(t), "calls-of-its-own")
	build := exec.Command("gcc", "-w", "-O1", "-static", "-o", bin, "-x", "c", "-")
	build.Stdin = strings.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// startCalls starts COMMAND under the shim, and returns the front and COMMAND's pid.
func startCalls(t *testing.T, mode, command string) (front *exec.Cmd, pid int) {
	t.Helper()
	front = exec.Command(buildShim(t), "run", "--mode", mode, "--policy", policyFile(t, &guardedProcess{}, feltPolicy), "--", command)
	front.Stderr = os.Stderr
	out, err := front.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := front.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatal(err)
	}
	return front, pid
}

// waitFront waits for the front to end, with a deadline.
func waitFront(t *testing.T, front *exec.Cmd) *os.ProcessState {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- front.Wait() }()
	select {
	case err := <-done:
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return front.ProcessState
	case <-time.After(attackDeadline):
		t.Fatal("the front does not end")
		return nil
	}
}

// TestCommandKilledWhileTraced: COMMAND dies while a thread of its own parent traces it. Its
// status is the front's, whenever that is.
func TestCommandKilledWhileTraced(t *testing.T) {
	command := callsOfItsOwn(t)
	for _, mode := range tracing {
		for round := range soak(40, 2000) {
			front, pid := startCalls(t, mode, command)
			for range round * 20 { // some moment or other
				runtime.Gosched()
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
			if state := waitFront(t, front); state.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%s, round %d: the front ended with %v", mode, round, state)
			}
		}
	}
}

// TestCommandStopsWhileTraced: stops and continuations reach the front, although the kernel
// does not tell a parent whose other thread is the tracer.
func TestCommandStopsWhileTraced(t *testing.T) {
	command := callsOfItsOwn(t)
	for _, mode := range tracing {
		front, pid := startCalls(t, mode, command)
		for round := range soak(100, 2000) {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			awaitState(t, front.Process.Pid, "T", mode, round)
			_ = syscall.Kill(pid, syscall.SIGCONT)
			awaitState(t, front.Process.Pid, "RSD", mode, round)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		waitFront(t, front)
	}
}

// stopDeadline is for the front to follow COMMAND.
const stopDeadline = 20 * time.Second

// awaitState waits until a process is in one of some states.
func awaitState(t *testing.T, pid int, states, mode string, round int) {
	t.Helper()
	for deadline := time.Now().Add(stopDeadline); ; runtime.Gosched() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if strings.Contains(states, rest[:1]) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, round %d: the front is in state %s, not in %s", mode, round, rest[:1], states)
		}
	}
}
