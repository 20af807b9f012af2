package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// ProfileOptions are what a profile says besides the policy.
type ProfileOptions struct {
	Socket   string // the agent's: listenerPath
	Metadata string // listenerMetadata, as lines of KEY=VALUE or a JSON object; more is added

	// WaitKillable asks for SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which not every runtime
	// knows.
	WaitKillable bool

	// NotifyDenials leaves all denials to the agent, which writes them down.
	NotifyDenials bool
}

// Profile is the policy as far as a container runtime's filter can have it: what is
// certainly denied by registers is an errno, every other call of Syscalls goes to the
// agent that listens at socket. notes say which denials it cannot hold, and why; the
// agent makes those. What closes a container's own ways round the agent is in it, too, and
// the agent is told of Landlock domains.
//
// The runtime's compiler keeps no order among rules, so no two of them overlap; it
// compares whole 64-bit registers, all but one way, so that way is the only one used;
// and its rules hold for every ABI.
func (p *Policy) Profile(o ProfileOptions) (profile *specs.LinuxSeccomp, notes []string) {
	profile = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		ListenerPath:  o.Socket,
	}
	if o.WaitKillable {
		profile.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}
	}
	denies := false
	for _, s := range p.syscalls {
		entries, lost := p.profileOf(s)
		if o.NotifyDenials {
			entries, lost = []specs.LinuxSyscall{entryOf(s, box{}, RegisterRule{})}, nil
		}
		for _, e := range entries {
			denies = denies || e.Action == specs.ActErrno
			profile.Syscalls = addEntry(profile.Syscalls, e)
		}
		for _, note := range lost {
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	profile.Syscalls = addEntry(profile.Syscalls, entryOf(arch.LandlockRestrictSelf, box{}, RegisterRule{}))
	profile.Syscalls = append(profile.Syscalls, noListenerEntry())
	profile.ListenerMetadata = metadataOf(o.Metadata, denies)
	return profile, notes
}

// metadataOf adds what the agent has to know of the profile: that it notifies of Landlock,
// and whether it denies calls that the agent will not see.
func metadataOf(metadata string, denies bool) string {
	var object map[string]any
	if json.Unmarshal([]byte(metadata), &object) == nil && object != nil {
		object["notifies"] = []string{arch.LandlockRestrictSelf.String()}
		if denies {
			object["denies"] = "unseen"
		}
		text, err := json.Marshal(object)
		if err != nil {
			return metadata
		}
		return string(text)
	}
	if metadata != "" {
		metadata += "\n"
	}
	metadata += "notifies=" + arch.LandlockRestrictSelf.String()
	if denies {
		metadata += "\ndenies=unseen"
	}
	return metadata
}

// noListenerEntry is NoListener without its exception for NULL: libseccomp (2.5.4) takes a
// pointer for NULL whose low half is 0.
func noListenerEntry() specs.LinuxSyscall {
	closed, boxes, _ := noListenerBoxes()
	return entryOf(closed.Syscall, boxes[0], closed)
}

func noListenerBoxes() (closed RegisterRule, in, out []box) {
	closed = NoListener()
	closed.When = slices.DeleteFunc(closed.When, func(c Cond) bool { return c.Null })
	in, out = cutAll([]box{{}}, closed.When)
	return closed, in, out
}

// maxBoxes is how many entries a call may take. A profile much longer than that costs
// more in the filter than the agent would.
const maxBoxes = 512

// profileOf cuts the calls into boxes, line by line, as long as denials follow.
func (p *Policy) profileOf(s arch.Syscall) (entries []specs.LinuxSyscall, notes []string) {
	everyCall := []specs.LinuxSyscall{entryOf(s, box{}, RegisterRule{})}
	lines, notes := p.expressible(s)
	rest := []box{{}}
	for _, line := range lines {
		in, out := cutAll(rest, line.When)
		for _, b := range in {
			entries = append(entries, entryOf(s, b, line))
		}
		if len(entries)+len(out) > maxBoxes {
			return everyCall, append(notes, fmt.Sprintf("%v: denying in the filter would take more than %d entries", s, maxBoxes))
		}
		rest = out
	}
	for _, b := range rest {
		entries = append(entries, entryOf(s, b, RegisterRule{}))
	}
	return entries, notes
}

// expressible are the lines up to the last denial that a profile can hold, and what is
// to be said of the others. None asks for NULL: beside a rule that does, libseccomp loses
// other rules of the same call (2.5.4).
func (p *Policy) expressible(s arch.Syscall) (lines []RegisterRule, notes []string) {
	lines = p.registersOf(s)
	last := -1
	for i := range lines {
		line := &lines[i]
		when := slices.DeleteFunc(slices.Clone(line.When), func(c Cond) bool { return c.Null })
		asksNull := len(when) != len(line.When)
		switch {
		case line.Then != Deny:
		case asksNull:
			notes = append(notes, fmt.Sprintf("rule %q: libseccomp cannot hold a rule about NULL beside others", line.Rule))
		case line.ABI != 0:
			notes = append(notes, fmt.Sprintf("rule %q: a profile cannot tell the ABIs apart", line.Rule))
		default:
			last = i
			if before := earlier(lines[:i], *line); before != "" {
				notes = append(notes, fmt.Sprintf("rule %q: not for the calls of which rule %q, which comes first, has to be asked", line.Rule, before))
			}
		}
		if last != i && (asksNull || line.ABI != 0) {
			line.When, line.Then = when, Ask
		}
	}
	return lines[:last+1], notes
}

// earlier finds the first line before a denial that takes some of its calls and is none
// itself.
func earlier(before []RegisterRule, denial RegisterRule) string {
	for _, line := range before {
		if line.Then == Deny {
			continue
		}
		if in, _ := cutAll([]box{{}}, slices.Concat(line.When, denial.When)); len(in) > 0 && line.Then != Allow {
			return line.Rule
		}
	}
	return ""
}

// entryOf writes a box as the arguments of a profile's entry.
func entryOf(s arch.Syscall, b box, line RegisterRule) specs.LinuxSyscall {
	e := specs.LinuxSyscall{Names: []string{s.String()}, Action: specs.ActNotify}
	if line.Then == Deny {
		errno := uint(line.Errno)
		e.Action, e.ErrnoRet = specs.ActErrno, &errno
	}
	for i := range b.words {
		if w := b.words[i]; w.mask != 0 {
			e.Args = append(e.Args, specs.LinuxSeccompArg{
				Index: uint(i), Op: specs.OpMaskedEqual, Value: uint64(w.mask), ValueTwo: uint64(w.value),
			})
		}
		switch b.pointers[i] {
		case nullPointer:
			e.Args = append(e.Args, specs.LinuxSeccompArg{Index: uint(i), Op: specs.OpEqualTo})
		case givenPointer:
			e.Args = append(e.Args, specs.LinuxSeccompArg{Index: uint(i), Op: specs.OpNotEqual})
		}
	}
	return e
}

// addEntry lets calls with the same entry share one.
func addEntry(list []specs.LinuxSyscall, e specs.LinuxSyscall) []specs.LinuxSyscall {
	for i := range list {
		same := list[i].Action == e.Action && slices.Equal(list[i].Args, e.Args) &&
			(e.ErrnoRet == nil || *list[i].ErrnoRet == *e.ErrnoRet)
		if same {
			list[i].Names = append(list[i].Names, e.Names...)
			return list
		}
	}
	return append(list, e)
}
