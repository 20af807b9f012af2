package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

const mergePolicy = "version: 1\nsyscalls: all\ndefault: allow\nrules:\n  - {name: never, action: deny, match: {signals: [SIGHUP]}}\n"

func mergeInto(t *testing.T, base string, o ProfileOptions) (merged specs.LinuxSeccomp, notes []string) {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(mergePolicy))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := p.Profile(o)
	text, notes, err := Merge([]byte(base), own)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &merged); err != nil {
		t.Fatal(err)
	}
	return merged, notes
}

// effect is what a merged profile does with a call: exactly one entry may fit, or none.
func effect(t *testing.T, profile *specs.LinuxSeccomp, name string, raw [6]uint64) specs.LinuxSeccompAction {
	t.Helper()
	var found []specs.LinuxSeccompAction
	for _, e := range profile.Syscalls {
		if slices.Contains(e.Names, name) && fits(e.Args, arch.AMD64, raw) {
			found = append(found, e.Action)
		}
	}
	switch len(found) {
	case 0:
		return profile.DefaultAction
	case 1:
		return found[0]
	}
	t.Errorf("%d entries fit %s %#x", len(found), name, raw)
	return ""
}

// TestMerge: what the base denies stays denied, our calls are ours, and no listener can be had
// by dirty upper halves.
func TestMerge(t *testing.T) {
	const base = `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
		"syscalls": [{"names": ["read", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "seccomp", "landlock_restrict_self"], "action": "SCMP_ACT_ALLOW", "comment": "x"},
		{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 18446744073709551615, "op": "SCMP_CMP_EQ"}]},
		{"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}}]}`
	merged, notes := mergeInto(t, base, ProfileOptions{Socket: "/run/x", Metadata: "policy=a", WaitKillable: true})
	const dirty = 0xdefaced00000000
	for _, row := range []struct {
		name string
		raw  [6]uint64
		want specs.LinuxSeccompAction
	}{
		{"read", [6]uint64{}, specs.ActAllow},
		{"mount", [6]uint64{}, specs.ActErrno},
		{"ptrace", [6]uint64{}, specs.ActAllow},
		{"personality", [6]uint64{1<<64 - 1}, specs.ActAllow},
		{"personality", [6]uint64{1}, specs.ActErrno},
		{"kill", [6]uint64{1, 15}, specs.ActNotify},
		{"kill", [6]uint64{1, 1}, specs.ActErrno},
		{"kill", [6]uint64{1, dirty | 1}, specs.ActErrno},
		{"landlock_restrict_self", [6]uint64{}, specs.ActNotify},
		{"pidfd_send_signal", [6]uint64{3, 15}, specs.ActNotify},
		{"seccomp", [6]uint64{1, 8}, specs.ActErrno},
		{"seccomp", [6]uint64{dirty | 1, dirty | 8}, specs.ActErrno},
		{"seccomp", [6]uint64{1, 0}, specs.ActAllow},
		{"seccomp", [6]uint64{2, 8}, specs.ActAllow},
		{"seccomp", [6]uint64{0, 0}, specs.ActAllow},
		{"seccomp", [6]uint64{1, 0x30}, specs.ActAllow},
	} {
		if got := effect(t, &merged, row.name, row.raw); got != row.want {
			t.Errorf("%s %#x: %v, want %v", row.name, row.raw, got, row.want)
		}
	}
	if merged.ListenerPath != "/run/x" || merged.ListenerMetadata != "policy=a\nnotifies=landlock_restrict_self\ndenies=unseen" ||
		!slices.Contains(merged.Flags, specs.LinuxSeccompFlagWaitKillableRecv) || *merged.DefaultErrnoRet != 38 {
		t.Errorf("%+v", merged)
	}
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "pidfd_send_signal: the base does not allow it") {
		t.Errorf("notes %q", notes)
	}
}

// TestMergeKeepsWhatIsClosed: who may not install filters or enter domains at all there still
// may not; a base of the old form, with one name an entry, is understood; architectures that
// would kill are added.
func TestMergeKeepsWhatIsClosed(t *testing.T) {
	const base = `{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
		"syscalls": [{"name": "kill", "action": "SCMP_ACT_ALLOW"}, {"name": "read", "action": "SCMP_ACT_ALLOW"}]}`
	merged, _ := mergeInto(t, base, ProfileOptions{})
	for _, name := range []string{"seccomp", "landlock_restrict_self"} {
		if got := effect(t, &merged, name, [6]uint64{}); got != specs.ActErrno {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := effect(t, &merged, "kill", [6]uint64{1, 15}); got != specs.ActNotify {
		t.Errorf("kill: %v", got)
	}
	if len(merged.Architectures) != 3 {
		t.Errorf("architectures %v", merged.Architectures)
	}
	for _, bad := range []string{"", "[]", "{}", `{"defaultAction": "SCMP_ACT_ALLOW"}`} {
		if _, _, err := Merge([]byte(bad), &specs.LinuxSeccomp{}); err == nil {
			t.Errorf("%q is taken for a profile", bad)
		}
	}
}

// TestProfileTells: of Landlock always, and of denials that the agent does not see.
func TestProfileTells(t *testing.T) {
	p, err := Parse("policy.yaml", []byte(mergePolicy))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		o        ProfileOptions
		metadata string
		denies   bool
	}{
		{ProfileOptions{Metadata: "policy=a"}, "policy=a\nnotifies=landlock_restrict_self\ndenies=unseen", true},
		{ProfileOptions{Metadata: "policy=a", NotifyDenials: true}, "policy=a\nnotifies=landlock_restrict_self", false},
		{ProfileOptions{Metadata: `{"policy":"a","mine":1}`}, `{"denies":"unseen","mine":1,"notifies":["landlock_restrict_self"],"policy":"a"}`, true},
	} {
		profile, _ := p.Profile(row.o)
		if profile.ListenerMetadata != row.metadata {
			t.Errorf("metadata %q, want %q", profile.ListenerMetadata, row.metadata)
		}
		if got := effect(t, profile, "kill", [6]uint64{1, 1}) == specs.ActErrno; got != row.denies {
			t.Errorf("%+v: the profile denies %t", row.o, got)
		}
		if got := effect(t, profile, "landlock_restrict_self", [6]uint64{}); got != specs.ActNotify {
			t.Errorf("landlock_restrict_self: %v", got)
		}
		if got := effect(t, profile, "seccomp", [6]uint64{1, 8}); got != specs.ActErrno {
			t.Errorf("a listener: %v", got)
		}
	}
}
