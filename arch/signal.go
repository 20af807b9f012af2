package arch

import (
	"fmt"
	"strconv"
	"strings"
)

// The real-time signals as `kill -l` counts them: the C library keeps 32 and 33.
const (
	SIGRTMIN = 34
	SIGRTMAX = 64
)

// SignalName returns "SIGTERM", "SIGRTMIN+3" and the like, and the decimal form of
// numbers that have no name: 0, 32, 33 and whatever is no signal.
func SignalName(sig int32) string {
	if name := knownSignalName(sig); name != "" {
		return name
	}
	return strconv.Itoa(int(sig))
}

func knownSignalName(sig int32) string {
	if sig < 0 || sig > SIGRTMAX {
		return ""
	}
	return signalNames[sig]
}

// ParseSignal reads a signal as people write it: a name in any case, with or
// without SIG, SIGRTMIN+N, SIGRTMAX-N, or a number from 0 to 64.
func ParseSignal(text string) (int32, error) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	sig, found := parseNumber(text, SIGRTMAX)
	if !found {
		sig, found = parseRealTime(name)
	}
	if !found {
		sig, found = parseName(name)
	}
	if !found {
		return 0, fmt.Errorf("signal %q: not a name such as SIGTERM, SIGRTMIN+3 or SIGRTMAX-1, nor a number from 0 to 64", text)
	}
	return sig, nil
}

// parseRealTime reads RTMIN, RTMIN+N, RTMAX and RTMAX-N.
func parseRealTime(name string) (int32, bool) {
	sign, base := int32(1), int32(SIGRTMIN)
	rest, found := strings.CutPrefix(name, "RTMIN")
	if !found {
		sign, base = -1, SIGRTMAX
		rest, found = strings.CutPrefix(name, "RTMAX")
	}
	if !found || rest == "" {
		return base, found
	}
	if (rest[0] == '+') != (sign > 0) || (rest[0] == '-') != (sign < 0) {
		return 0, false
	}
	n, found := parseNumber(rest[1:], SIGRTMAX-SIGRTMIN)
	return base + sign*n, found
}

func parseName(name string) (int32, bool) {
	switch name {
	case "":
		return 0, false
	case "IOT":
		name = "ABRT"
	case "CLD":
		name = "CHLD"
	case "POLL":
		name = "IO"
	}
	for sig, known := range signalNames {
		if strings.TrimPrefix(known, "SIG") == name {
			return int32(sig), true
		}
	}
	return 0, false
}

// parseNumber takes digits alone: strconv would also take a sign.
func parseNumber(text string, limit uint64) (int32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return int32(n), err == nil && n <= limit
}

// The names of <asm/signal.h> on x86, never written to.
var signalNames = [SIGRTMAX + 1]string{
	1: "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE",
	9: "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT",
	17: "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
	25: "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
	34: "SIGRTMIN", "SIGRTMIN+1", "SIGRTMIN+2", "SIGRTMIN+3", "SIGRTMIN+4", "SIGRTMIN+5",
	40: "SIGRTMIN+6", "SIGRTMIN+7", "SIGRTMIN+8", "SIGRTMIN+9", "SIGRTMIN+10", "SIGRTMIN+11",
	46: "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+16", "SIGRTMIN+17",
	52: "SIGRTMIN+18", "SIGRTMIN+19", "SIGRTMIN+20", "SIGRTMIN+21", "SIGRTMIN+22", "SIGRTMIN+23",
	58: "SIGRTMIN+24", "SIGRTMIN+25", "SIGRTMIN+26", "SIGRTMIN+27", "SIGRTMIN+28", "SIGRTMIN+29",
	64: "SIGRTMAX",
}
