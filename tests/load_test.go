package tests

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSupervisorKilled: with the supervisor gone callers are told ENOSYS, nobody hangs,
// and COMMAND's exit status is still the run's.
func TestSupervisorKilled(t *testing.T) {
	for _, mode := range supervised {
		t.Run(mode, func(t *testing.T) {
			argv := attackIn(t, mode, "m64", "load")
			cmd := exec.Command(argv[0], argv[1:]...)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			hangs := time.AfterFunc(attackDeadline, func() { _ = cmd.Process.Kill() })
			defer hangs.Stop()
			got := map[string]int{}
			for lines := bufio.NewScanner(stdout); lines.Scan(); {
				name, value, _ := strings.Cut(lines.Text(), "=")
				got[name], _ = strconv.Atoi(value)
				if name == "supervisor" && got[name] > 1 {
					if err := syscall.Kill(got[name], syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = cmd.Wait()
			expect(t, argv, got, map[string]int{"enosys": 16, "other": 0})
			if status := cmd.ProcessState.ExitCode(); status != 43 {
				t.Errorf("exit status %d (%v), COMMAND's is 43", status, cmd.ProcessState)
			}
		})
	}
}

// patience is how long an end may take that has to come, in milliseconds.
const patience = 60_000

// TestSupervisorEnds with the last caller, however suddenly that is: a helper that it
// started for a call of the dead must not keep it.
func TestSupervisorEnds(t *testing.T) {
	argv := attackIn(t, "emulate", "m64", "load")
	for range soak(20, 500) {
		cmd := exec.Command(argv[0], argv[1:]...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "supervisor=")))
		if err != nil {
			t.Fatal(err)
		}
		supervisor, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Skipf("pidfd_open: %v", err)
		}
		_ = cmd.Process.Kill() // the front; COMMAND is killed for it
		_ = cmd.Wait()
		fds := []unix.PollFd{{Fd: int32(supervisor), Events: unix.POLLIN}}
		for n, err := unix.Poll(fds, patience); n == 0 || err != nil; n, err = unix.Poll(fds, patience) {
			if err == nil {
				_ = unix.PidfdSendSignal(supervisor, unix.SIGKILL, nil, 0)
				t.Fatal("the supervisor outlives the last caller")
			}
		}
		_ = unix.Close(supervisor)
	}
}
