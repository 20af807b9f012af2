package role

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMessages: what is sent arrives, long ones whole, descriptors with the message that they
// were sent with, and then the end.
func TestMessages(t *testing.T) {
	ours, theirs, err := Pair("test")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	long := strings.Repeat("long ", 100_000)
	sent := make(chan error, 1)
	go func() {
		err := errors.Join(ours.Send(long), ours.Send("with", int(write.Fd())), ours.Send("last"))
		sent <- errors.Join(err, write.Close(), ours.Close())
	}()
	for _, want := range []string{long, "with", "last"} {
		var got string
		fd, err := theirs.Receive(&got)
		if err != nil || got != want || (fd >= 0) != (want == "with") {
			t.Fatalf("received %.10q (%d bytes), descriptor %d, %v, want %.10q", got, len(got), fd, err, want)
		}
		if fd < 0 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %#x, %v, want close-on-exec", flags, err)
		}
		if n, err := unix.Write(fd, []byte("through")); n != 7 || err != nil {
			t.Errorf("write to the descriptor: %d, %v", n, err)
		}
		_ = unix.Close(fd)
	}
	var none string
	if _, err := theirs.Receive(&none); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want EOF", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := theirs.Send("into nothing"); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send to an end that is closed: %v, want EPIPE", err)
	}
	if text, err := io.ReadAll(read); string(text) != "through" || err != nil {
		t.Errorf("through the descriptor: %q, %v", text, err)
	}
}

// TestTake: a role's arguments are known from a user's.
func TestTake(t *testing.T) {
	fails := errors.New("fails")
	table := Table{Reader: func(args []string) error {
		if len(args) > 0 {
			return fails
		}
		return nil
	}}
	for _, test := range []struct {
		args   []string
		mine   bool
		status int
	}{
		{nil, false, 0},
		{[]string{"run"}, false, 0},
		{[]string{string(Tracer)}, false, 0},
		{[]string{string(Reader)}, true, 0},
		{[]string{string(Reader), "x"}, true, 125},
	} {
		mine, err := table.Take(test.args)
		if mine != test.mine || StatusOf(err) != test.status {
			t.Errorf("%q: mine %t, status %d", test.args, mine, StatusOf(err))
		}
	}
	if got := StatusOf(Ended(7)); got != 7 {
		t.Errorf("status %d, want 7", got)
	}
}
