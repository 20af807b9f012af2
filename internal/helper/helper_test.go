package helper

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestSlowStart has a helper take longer to start than it may take to answer, as on a busy
// machine: it is waited for, not killed and started again for ever.
func TestSlowStart(t *testing.T) {
	const deadline = time.Second
	starts := 0
	h := Helper{Deadline: deadline, All: &All{}, Command: func(socket *os.File) (*os.Process, error) {
		starts++
		return echo(socket, deadline+deadline/2)
	}}
	answer := make([]byte, 1)
	if n, err := h.Ask([]byte("a"), answer); n != 1 || err != nil || answer[0] != 'a' || starts != 1 {
		t.Errorf("%d %v %q after %d starts", n, err, answer, starts)
	}
	h.stop()
}

// echo is a helper that says what it hears, once it has started.
func echo(socket *os.File, after time.Duration) (*os.Process, error) {
	cmd := exec.Command("sleep", "60") // a process to kill; the answers are this one's
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fd, err := syscall.Dup(int(socket.Fd()))
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(fd), "theirs")
	time.AfterFunc(after, func() {
		defer theirs.Close()
		_ = Serve(theirs, 1, 1, func(question, into []byte) int { return copy(into, question) })
	})
	return cmd.Process, nil
}

// TestDeadOnArrival has helpers die before they say anything, as where there is no memory for
// them: nobody waits for what will not be said.
func TestDeadOnArrival(t *testing.T) {
	h := Helper{Deadline: time.Second, All: &All{}, Command: func(*os.File) (*os.Process, error) {
		cmd := exec.Command("false")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return cmd.Process, nil
	}}
	began := time.Now()
	_, err := h.Ask([]byte("a"), make([]byte, 1))
	if waited := time.Since(began); !errors.Is(err, ErrLate) || waited > startPatience/2 {
		t.Errorf("%v after %v", err, waited)
	}
}
