package supervisor

import (
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// Kernels of the matrix, as far as Resolve looks.
var (
	modern = kernel.Features{SendSignal: true, Notify: true, Continue: true, PidfdOpen: true, SignalFlags: 7, SelfThread: -10000, SelfGroup: -10001}
	v510   = kernel.Features{SendSignal: true, Notify: true, Continue: true, PidfdOpen: true}
	v51    = kernel.Features{SendSignal: true, Notify: true}
	v50    = kernel.Features{Notify: true}
	v419   = kernel.Features{}
)

func TestResolve(t *testing.T) {
	for _, row := range []struct {
		name     string
		features kernel.Features
		options  Options
		backend  string
		mode     emulate.Mode
		unasked  bool
		refused  string // part of the error
	}{
		{"modern", modern, Options{}, "notify", emulate.ModeContinue, true, ""},
		{"modern observed", modern, Options{Observed: true}, "notify", emulate.ModeContinue, true, ""},
		{"modern mainline is native", modern, Options{Semantics: "mainline"}, "notify", emulate.ModeContinue, true, ""},
		{"modern original", modern, Options{Semantics: "original"}, "notify", emulate.ModeCaller, false, ""},
		{"modern continue", modern, Options{Mode: "continue"}, "notify", emulate.ModeContinue, false, ""},
		{"modern continue original", modern, Options{Mode: "continue", Semantics: "original"}, "", 0, false, "--semantics original"},
		{"modern forward", modern, Options{Mode: "forward"}, "notify", emulate.ModeForward, false, ""},
		{"modern caller", modern, Options{Mode: "caller"}, "notify", emulate.ModeCaller, false, ""},
		{"modern emulate", modern, Options{Mode: "emulate"}, "notify", emulate.ModeEmulate, false, ""},
		{"modern ptrace", modern, Options{Backend: "ptrace"}, "ptrace", emulate.ModeCaller, false, ""},
		{"5.10", v510, Options{}, "notify", emulate.ModeContinue, true, ""},
		{"5.10 mainline", v510, Options{Semantics: "mainline"}, "notify", emulate.ModeCaller, false, ""},
		{"5.1 filter answers", v51, Options{}, "notify", emulate.ModeContinue, true, ""},
		{"5.1 observed", v51, Options{Observed: true}, "notify", emulate.ModeCaller, false, ""},
		{"5.1 continue", v51, Options{Mode: "continue"}, "", 0, false, "Linux 5.5"},
		{"5.0", v50, Options{}, "notify", emulate.ModeCaller, false, ""},
		{"5.0 continue", v50, Options{Mode: "continue"}, "", 0, false, "Linux 5.1"},
		{"5.0 forward", v50, Options{Mode: "forward"}, "", 0, false, "Linux 5.1"},
		{"5.0 with descriptors", v50, Options{Family: "auto"}, "ptrace", emulate.ModeCaller, false, ""},
		{"5.1 with descriptors", v51, Options{Family: "auto"}, "ptrace", emulate.ModeCaller, false, ""},
		{"5.10 has its own", v510, Options{Family: "auto"}, "notify", emulate.ModeContinue, true, ""},
		{"modern, asked for", modern, Options{Family: "on"}, "ptrace", emulate.ModeCaller, false, ""},
		{"modern, by notify", modern, Options{Family: "on", Backend: "notify"}, "", 0, false, "--backend ptrace"},
		{"4.19", v419, Options{}, "ptrace", emulate.ModeCaller, false, ""},
		{"4.19 notify", v419, Options{Backend: "notify"}, "", 0, false, "--backend ptrace"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := row.options
			for _, f := range []struct {
				value    *string
				fallback string
			}{{&o.Backend, "auto"}, {&o.Mode, "auto"}, {&o.Semantics, "native"}} {
				if *f.value == "" {
					*f.value = f.fallback
				}
			}
			if err := o.Check(); err != nil {
				t.Fatal(err)
			}
			plan, err := o.Resolve(row.features)
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) {
					t.Fatalf("error %v, want one with %q", err, row.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if plan.Backend != row.backend || plan.Mode != row.mode || plan.Unasked != row.unasked {
				t.Errorf("%s %s unasked=%v, want %s %s unasked=%v", plan.Backend, plan.Mode, plan.Unasked, row.backend, row.mode, row.unasked)
			}
			if plan.Why == "" {
				t.Error("no reason given")
			}
		})
	}
}

func TestCheckNamesTheWords(t *testing.T) {
	err := Options{Backend: "auto", Mode: "forwrad", Semantics: "native"}.Check()
	if err == nil || !strings.Contains(err.Error(), "forwrad") || !strings.Contains(err.Error(), "forward") {
		t.Errorf("error %v names neither what was given nor what may be", err)
	}
}
