//go:build shimtest

package kernel

import (
	"strings"
	"testing"
)

// everything is a kernel that has it all.
var everything = Features{
	SendSignal: true, SignalFlags: 7, SelfThread: -10000, SelfGroup: -10001,
	PidfdOpen: true, Getfd: true, ThreadPidfd: true, Info: true,
	Notify: true, Continue: true, IDValidNew: true, WaitKillable: true, SyncWakeUp: true,
	NSTranslate: true, Openat2: true,
}

func TestPretend(t *testing.T) {
	for _, c := range []struct {
		spec string
		want Features
	}{
		{"99.0", everything},
		{"5.0", Features{Notify: true, NoSyscallInfo: true}},
		{"4.19", Features{NoSyscallInfo: true}},
		{"5.1", Features{Notify: true, SendSignal: true, NoSyscallInfo: true}},
		{"5.5", Features{Notify: true, SendSignal: true, PidfdOpen: true, Continue: true}},
		{"5.10", Features{
			Notify: true, SendSignal: true, PidfdOpen: true, Continue: true,
			Getfd: true, Openat2: true, IDValidNew: true,
		}},
		{"5.1,nosend", Features{Notify: true, NoSyscallInfo: true}},
	} {
		got, err := everything.Pretend(c.spec)
		if err != nil || got != c.want {
			t.Errorf("Pretend(%q) = %+v, %v\nwant %+v", c.spec, got, err, c.want)
		}
	}
	got, err := everything.Pretend("nokillable")
	want := everything
	want.WaitKillable = false
	if err != nil || got != want {
		t.Errorf("Pretend(nokillable) = %+v, %v", got, err)
	}
}

func TestPretendRefusesUnknownWords(t *testing.T) {
	for _, spec := range []string{"", "nokilable", "5", "x.y"} {
		if _, err := everything.Pretend(spec); err == nil || !strings.Contains(err.Error(), "nokillable") {
			t.Errorf("Pretend(%q): %v", spec, err)
		}
	}
}
