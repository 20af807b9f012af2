//go:build shimtest

package kernel

import (
	"fmt"
	"strconv"
	"strings"
)

// Pretend is f with features turned off, so that old ways are tested on a new
// kernel. spec is a list, separated by commas, of kernel versions ("5.0": what came
// later is off) and of names in switches.
func (f Features) Pretend(spec string) (Features, error) {
	for word := range strings.SplitSeq(spec, ",") {
		age, isVersion := version(word)
		known := isVersion
		for _, s := range switches {
			since, _ := version(s.since)
			if s.name == word || isVersion && since > age {
				s.off(&f)
				known = true
			}
		}
		if !known {
			return f, fmt.Errorf("pretend %q: neither a kernel version nor one of %s", word, switchNames())
		}
	}
	return f, nil
}

// switches turn one feature off each.
var switches = []struct {
	name, since string
	off         func(*Features)
}{
	{"oldtraceorder", "4.8", func(f *Features) { f.OldTraceOrder = true }},
	{"nonotify", "5.0", func(f *Features) { f.Notify = false }},
	{"nosend", "5.1", func(f *Features) { f.SendSignal = false }},
	{"nopidfdopen", "5.3", func(f *Features) { f.PidfdOpen = false }},
	{"nocontinue", "5.5", func(f *Features) { f.Continue = false }},
	{"nosyscallinfo", "5.3", func(f *Features) { f.NoSyscallInfo = true }},
	{"nogetfd", "5.6", func(f *Features) { f.Getfd = false }},
	{"noopenat2", "5.6", func(f *Features) { f.Openat2 = false }},
	{"oldidvalid", "5.9", func(f *Features) { f.IDValidNew = false }},
	{"nokillable", "5.19", func(f *Features) { f.WaitKillable = false }},
	{"brokenkillable", "0", func(f *Features) { f.KillableBroken = true }},
	{"nosyncwakeup", "6.6", func(f *Features) { f.SyncWakeUp = false }},
	{"noflags", "6.9", func(f *Features) { f.SignalFlags = 0 }},
	{"nothread", "6.9", func(f *Features) { f.ThreadPidfd = false }},
	{"nonstranslate", "6.11", func(f *Features) { f.NSTranslate = false }},
	{"noinfo", "6.13", func(f *Features) { f.Info = false }},
	{"noself", "6.15", func(f *Features) { f.SelfThread, f.SelfGroup = 0, 0 }},
}

func switchNames() string {
	names := make([]string, len(switches))
	for i, s := range switches {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// version makes 5.19 comparable: 5019.
func version(text string) (int, bool) {
	major, minor, _ := strings.Cut(text, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return a*1000 + b, err1 == nil && err2 == nil
}
