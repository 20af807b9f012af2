package arch_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

func TestSignalName(t *testing.T) {
	for sig := int32(1); sig < 32; sig++ {
		got := arch.SignalName(sig)
		if number := unix.SignalNum(got); int32(number) != sig {
			t.Errorf("SignalName(%d) = %s, which is %d", sig, got, number)
		}
	}
	tests := map[int32]string{
		-1: "-1", 0: "0", 15: "SIGTERM", 29: "SIGIO", 32: "32", 33: "33", 34: "SIGRTMIN",
		63: "SIGRTMIN+29", 64: "SIGRTMAX", 65: "65", 1<<31 - 1: "2147483647",
	}
	for sig := int32(35); sig < 64; sig++ {
		tests[sig] = fmt.Sprintf("SIGRTMIN+%d", sig-34)
	}
	for sig, want := range tests {
		if got := arch.SignalName(sig); got != want {
			t.Errorf("SignalName(%d) = %s, want %s", sig, got, want)
		}
	}
}

func TestParseSignal(t *testing.T) {
	tests := map[string]int32{
		"SIGTERM": 15, "TERM": 15, "sigterm": 15, "Term": 15, "15": 15, "0": 0, "64": 64, "32": 32, "33": 33,
		"SIGRTMIN": 34, "rtmin": 34, "RTMIN+0": 34, "SIGRTMIN+3": 37, "sigrtmin+30": 64,
		"SIGRTMAX": 64, "RTMAX-0": 64, "SIGRTMAX-1": 63, "rtmax-30": 34,
		"SIGIOT": 6, "ABRT": 6, "SIGPOLL": 29, "IO": 29, "CLD": 17, "CHLD": 17,
	}
	for sig := int32(0); sig <= 64; sig++ {
		tests[arch.SignalName(sig)] = sig
	}
	for text, want := range tests {
		if got, err := arch.ParseSignal(text); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseSignalRefuses(t *testing.T) {
	for _, text := range []string{
		"", "SIG", "65", "-1", "+1", " 15", "15 ", "1e1", "0x0f", "SIG15", "SIGFOO", "SIGSIGTERM", "TERMX",
		"RTMIN-1", "RTMIN+31", "RTMAX+1", "RTMAX-31", "RTMIN+", "RTMIN3", "RTMIN+-1", "RTMAX--1", "RTMIN+x", "RTMIN +3",
		"99999999999999999999", "RTMIN+4294967295",
	} {
		got, err := arch.ParseSignal(text)
		if err == nil {
			t.Errorf("ParseSignal(%q) = %d", text, got)
		} else if !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("ParseSignal(%q) does not say what it refuses: %v", text, err)
		}
	}
}

func FuzzParseSignal(f *testing.F) {
	f.Add("SIGRTMIN+3")
	f.Add("rtmax-0")
	f.Fuzz(func(t *testing.T, text string) {
		sig, err := arch.ParseSignal(text)
		if err != nil {
			return
		}
		again, err := arch.ParseSignal(arch.SignalName(sig))
		if err != nil || again != sig {
			t.Errorf("%q is %d, which is %s, which is %d, %v", text, sig, arch.SignalName(sig), again, err)
		}
	})
}
