package tracee

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAbandonedAreLetGo: the end of a thread lets go of one that does not stop, also where
// it was told to.
func TestAbandonedAreLetGo(t *testing.T) {
	var held Held
	cmd, release := inVfork(t)
	pid := int32(cmd.Process.Pid)
	all := make(chan bool, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		s := &Set{Held: &held}
		if s.Seize(pid, 0) == 0 {
			_ = s.Release(pid)
			all <- s.LetGo(func() bool { return false })
		}
		s.Abandon()
		close(all)
	}()
	if gone, seized := <-all; gone || !seized {
		t.Errorf("seized: %t, let go although it cannot stop: %t", seized, gone)
	}
	for end := time.Now().Add(deadline); ; runtime.Gosched() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "TracerPid:\t0\n") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is still traced")
		}
	}
	if held.Traces(pid) {
		t.Error("it is still said to be traced")
	}
	release()
	if err := cmd.Wait(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAwaitFree: who needs a task that another thread has waits for that one to let go, not
// for ever.
func TestAwaitFree(t *testing.T) {
	var held Held
	s, pid := set(t, &held), child(t)
	seized(t, s, pid)
	if held.awaitFree(pid, time.Millisecond) {
		t.Error("it was free")
	}
	free := make(chan bool)
	go func() { free <- held.awaitFree(pid, time.Hour) }()
	_ = s.Release(pid)
	s.LetGo(behind)
	select {
	case ok := <-free:
		if !ok {
			t.Error("it was not free")
		}
	case <-time.After(deadline):
		t.Error("it is still waited for")
	}
	_ = unix.Kill(int(pid), unix.SIGKILL)
	_, _ = unix.Wait4(int(pid), nil, 0, nil) // others of these tests count the children
}
