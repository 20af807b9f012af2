package kernel_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

func BenchmarkForRun(b *testing.B) {
	for b.Loop() {
		kernel.ForRun()
	}
}

// What ForRun says is what the probes say one by one.
func TestForRunAgreesWithProbes(t *testing.T) {
	f := kernel.ForRun()
	for _, c := range []struct {
		name  string
		have  bool
		probe func() error
	}{
		{"SendSignal", f.SendSignal, kernel.PidfdSendSignal},
		{"SelfThread", f.SelfThread != 0, kernel.PidfdSelf},
		{"PidfdOpen", f.PidfdOpen, kernel.PidfdOpen},
		{"Getfd", f.Getfd, kernel.PidfdGetfd},
		{"ThreadPidfd", f.ThreadPidfd, kernel.PidfdThread},
		{"Info", f.Info, kernel.PidfdInfo},
		{"Notify", f.Notify, kernel.Listener},
		{"Continue", f.Continue, kernel.NotifContinue},
		{"IDValidNew", f.IDValidNew, kernel.IDValidNew},
		{"WaitKillable", f.WaitKillable, kernel.WaitKillableRecv},
		{"SyncWakeUp", f.SyncWakeUp, kernel.SyncWakeUp},
		{"NSTranslate", f.NSTranslate, kernel.NSTranslate},
		{"Openat2", f.Openat2, kernel.Openat2},
	} {
		if err := c.probe(); (err == nil) != c.have {
			t.Errorf("ForRun().%s = %v, its probe says: %v", c.name, c.have, err)
		}
	}
}

// Probing leaves no filter on any thread that lives on, the main one above all: a
// thread with our filter would keep its listener from ever hanging up.
func TestForRunLeavesNoFilter(t *testing.T) {
	outer := seccompMode(t, "/proc/self/status")
	for range 50 {
		kernel.ForRun()
	}
	if mode := seccompMode(t, "/proc/self/status"); mode != outer {
		t.Fatalf("main thread: Seccomp: %s, was %s", mode, outer)
	}
	// Throwaway threads end by themselves, a moment after the answer.
	deadline := time.Now().Add(time.Minute)
	for filtered(t) != "" && outer == "0" {
		if time.Now().After(deadline) {
			t.Fatalf("thread %s still has a filter", filtered(t))
		}
		runtime.Gosched()
	}
}

// filtered names a thread of ours that has a filter.
func filtered(t *testing.T) string {
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range tasks {
		if seccompMode(t, status) == "2" {
			return status
		}
	}
	return ""
}

func seccompMode(t *testing.T, status string) string {
	text, err := os.ReadFile(status)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return "" // the thread has ended
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nSeccomp:\t")
	mode, _, _ := strings.Cut(rest, "\n")
	return mode
}
