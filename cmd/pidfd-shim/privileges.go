package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/internal/agent"
	"github.com/pidfd-shim/pidfd-shim/internal/confine"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// limits are what serve has the right to do, as doctor shows it.
type limits struct {
	Keeps   []right   `json:"keeps"`
	Refuses []refusal `json:"refuses"`
	Unknown string    `json:"unknown,omitempty"` // why nobody knows which rights are here
}

type right struct {
	Capability string `json:"capability"`
	Here       bool   `json:"here"` // who runs doctor has it to give, as far as procfs tells
	AtStart    bool   `json:"at_start,omitempty"`
	Why        string `json:"why"`
	Without    string `json:"without"`
}

type refusal struct {
	Group string `json:"group"`
	Calls int    `json:"calls"`
	Why   string `json:"why"`
}

func limitsOfServe() limits {
	var l limits
	ours, err := confine.Of(os.Getpid())
	if err != nil { // no procfs
		l.Unknown = err.Error()
	}
	for _, c := range confine.Capabilities {
		l.Keeps = append(l.Keeps, right{c.Name(), ours.Permitted>>c.Number&1 != 0, c.AtStart, c.Why, c.Without})
	}
	for _, g := range confine.Refused {
		l.Refuses = append(l.Refuses, refusal{g.Name, len(g.Calls), g.Why})
	}
	l.Refuses = append(l.Refuses, refusal{"by arguments", confine.CallsByArguments, confine.ByArguments})
	return l
}

// tell fills two tables.
func (l limits) tell(rights, refusals *columns) {
	for _, r := range l.Keeps {
		here, why := "present", r.Why
		switch {
		case l.Unknown != "":
			here, why = kernel.Unknown, l.Unknown
		case !r.Here:
			here, why = "absent", "without it: "+r.Without
		}
		rights.add(r.Capability, here, why)
	}
	for _, r := range l.Refuses {
		refusals.add(r.Group, strconv.Itoa(r.Calls), r.Why)
	}
}

// printPrivileges is what an agent told of itself.
func printPrivileges(w io.Writer, h agent.Privileges) {
	say := func(format string, args ...any) { fmt.Fprintln(w, wrap(fmt.Sprintf(format, args...), width, "  ")) }
	fmt.Fprintln(w)
	say("the agent %d, in the most privileged of %d threads, has: %s", h.Pid, h.Threads, orNone(h.Capabilities))
	say("what it could execute would have at most: %s; no_new_privs: %v; filter: %v", orNone(h.Bounding), h.NoNewPrivs, h.Filtered)
	if len(h.Missing) > 0 {
		say("it lacks: %s", orNone(h.Missing))
	}
	if h.Confined {
		say("it is confined: these are no more than the list says, and calls are refused")
	} else {
		say("it has more than it needs: was it started with --keep-privileges?")
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}
