package helper

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is also the helper process that these tests talk with: it answers with what it
// was asked, and with its pid.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "talk" {
		err := ServeMany(os.NewFile(3, "control"), func(socket int) {
			var question [8]byte
			for {
				n, _, err := Receive(socket, question[:])
				if n == 0 || err != nil {
					return
				}
				_, _ = unix.Write(socket, fmt.Append(nil, string(question[:n]), os.Getpid()))
			}
		})
		if err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// talkers starts such processes and tells of their ends.
type talkers struct {
	Many
	all   All
	ended chan error
}

func newTalkers() *talkers {
	x := &talkers{ended: make(chan error, 8)}
	x.Many = Many{All: &x.all, Command: func(socket *os.File) (*os.Process, error) {
		cmd := exec.Command(os.Args[0], "talk")
		cmd.ExtraFiles = []*os.File{socket}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		go func() { x.ended <- cmd.Wait() }()
		return os.FindProcess(cmd.Process.Pid)
	}}
	return x
}

func (x *talkers) dial(t *testing.T) int {
	t.Helper()
	socket, err := x.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(socket) })
	return socket
}

// says asks and returns who has answered.
func says(t *testing.T, socket int, word string) (pid int) {
	t.Helper()
	var answer [32]byte
	if _, err := unix.Write(socket, []byte(word)); err != nil {
		t.Fatal(err)
	}
	n, err := unix.Read(socket, answer[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(answer[:n]), word+"%d", &pid); err != nil {
		t.Fatalf("%q: %v", answer[:n], err)
	}
	return pid
}

func (x *talkers) expectEnd(t *testing.T, what string, well bool) {
	t.Helper()
	select {
	case err := <-x.ended:
		if (err == nil) != well {
			t.Errorf("%s: the process ended with %v", what, err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s: the process does not end", what)
	}
}

// Conversations share a process, which ends when nobody dials any more and the last of
// them has ended; where it has died another takes its place.
func TestManyConversations(t *testing.T) {
	x := newTalkers()
	one, two := x.dial(t), x.dial(t)
	pid := says(t, one, "a")
	if other := says(t, two, "b"); other != pid || !x.all.Has(int32(pid)) {
		t.Errorf("two processes, %d and %d, known: %t", pid, other, x.all.Has(int32(pid)))
	}
	_ = unix.Kill(pid, unix.SIGKILL)
	x.expectEnd(t, "killed", false)
	third := x.dial(t)
	if next := says(t, third, "c"); next == pid || x.all.Has(int32(pid)) {
		t.Errorf("process %d, which was killed, answers", next)
	}
	x.hangUp()
	if says(t, third, "d"); len(x.ended) > 0 {
		t.Error("it has ended in the middle of a conversation")
	}
	_ = unix.Shutdown(third, unix.SHUT_RDWR)
	x.expectEnd(t, "hung up on", true)
}

// A pool makes another where one that was taken is lost.
func TestPoolLoses(t *testing.T) {
	made := 0
	p := Pool[int]{Limit: 1, New: func() int { made++; return made }}
	if got := p.Take(); got != 1 {
		t.Errorf("took %d", got)
	}
	taken := make(chan int)
	go func() { taken <- p.Take() }()
	p.Lose()
	if got := <-taken; got != 2 {
		t.Errorf("took %d", got)
	}
	p.Put(2)
	if got := p.Take(); got != 2 || made != 2 {
		t.Errorf("took %d of %d", got, made)
	}
}
