package policy

import (
	"strconv"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Show writes the fact that a key asks about: for Explain.
func Show(key string, q *Query) string {
	f := &q.Facts
	number := func(known Fact, n int64) string {
		if f.Known&known == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	name := func(known Fact, text []byte) string {
		if f.Known&known == 0 {
			return ""
		}
		return strconv.Quote(string(text))
	}
	switch key {
	case "signals":
		return signalOf(q)
	case "scope":
		return q.Scope.String()
	case "caller.abi":
		return q.ABI.String()
	case "codes":
		if !q.HasInfo {
			return "NULL"
		}
		if f.Known&Code == 0 {
			return ""
		}
		return arch.CodeName(q.Signal, f.Code)
	case "values":
		if !q.HasInfo {
			return "no siginfo"
		}
		return number(Value, int64(f.Value))
	case "caller.uid":
		return number(CallerUID, int64(f.Caller.UID))
	case "caller.euid":
		return number(CallerEUID, int64(f.Caller.EUID))
	case "caller.gid":
		return number(CallerGID, int64(f.Caller.GID))
	case "target.pid":
		return number(TargetPid, int64(f.TargetPid))
	case "target.uid":
		return number(TargetUID, int64(f.Target.UID))
	case "target.relation":
		return relationsHeld(f)
	case "caller.comm":
		return name(CallerComm, f.Caller.Comm)
	case "caller.exe":
		return name(CallerExe, f.Caller.Exe)
	case "caller.cgroup":
		return name(CallerCgroup, f.Caller.Cgroup)
	case "target.comm":
		return name(TargetComm, f.Target.Comm)
	case "target.exe":
		return name(TargetExe, f.Target.Exe)
	case "target.cgroup":
		return name(TargetCgroup, f.Target.Cgroup)
	}
	return ""
}

// relationsHeld shows those that hold of all that have been asked for.
func relationsHeld(f *Facts) string {
	held := f.Relations.String()
	if held == "" {
		held = "none of those asked for"
	}
	if f.Unsure != 0 {
		held += "; cannot tell " + f.Unsure.String()
	}
	return held
}

// Reasons says in a few words why rules before the deciding one did not match.
func Reasons(steps []Step) string {
	const most = 3
	text, said := "", 0
	for i := range steps {
		s := &steps[i]
		if len(s.Keys) == 0 || s.Says != "no" && (s.Says != "unknown" || s.Then != "allow") {
			continue
		}
		if said++; said > most {
			continue
		}
		failed := s.Keys[len(s.Keys)-1]
		for _, k := range s.Keys {
			if k.Says == s.Says {
				failed = k
			}
		}
		if text != "" {
			text += "; "
		}
		text += "not by " + s.Rule + ": " + failed.Key + " is "
		if failed.Had == "" {
			text += "not to be had"
		} else {
			text += failed.Had + ", wanted " + failed.Wanted
		}
	}
	if said > most {
		text += "; nor by " + strconv.Itoa(said-most) + " more"
	}
	return text
}

func signalOf(q *Query) string {
	if q.Signal == NoSignal {
		return "no signal"
	}
	return arch.SignalName(q.Signal)
}
