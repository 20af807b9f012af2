package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/internal/agent"
	"github.com/pidfd-shim/pidfd-shim/internal/confine"
)

// limits are what serve has the right to do, as doctor shows it.
type limits struct {
	Keeps   []right   `json:"keeps"`
	Refuses []refusal `json:"refuses"`
}

type right struct {
	Capability string `json:"capability"`
	Here       bool   `json:"here"` // who runs doctor has it to give
	AtStart    bool   `json:"at_start,omitempty"`
	Why        string `json:"why"`
	Without    string `json:"without"`
}

type refusal struct {
	Group string `json:"group"`
	Calls int    `json:"calls"`
	Why   string `json:"why"`
}

func limitsOfServe() (limits, error) {
	ours, err := confine.Of(os.Getpid())
	if err != nil {
		return limits{}, err
	}
	var l limits
	for _, c := range confine.Capabilities {
		l.Keeps = append(l.Keeps, right{c.Name(), ours.Permitted>>c.Number&1 != 0, c.AtStart, c.Why, c.Without})
	}
	for _, g := range confine.Refused {
		l.Refuses = append(l.Refuses, refusal{g.Name, len(g.Calls), g.Why})
	}
	l.Refuses = append(l.Refuses, refusal{"by arguments", confine.CallsByArguments, confine.ByArguments})
	return l, nil
}

// print writes two tables, the last column of which is not padded.
func (l limits) print(w io.Writer) {
	fmt.Fprintf(w, "CAPABILITY\tHERE\tWHAT serve NEEDS IT FOR: IT GIVES UP ALL OTHERS\n")
	for _, r := range l.Keeps {
		here, why := "present", r.Why
		if !r.Here {
			here, why = "absent", "without it: "+r.Without
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Capability, here, why)
	}
	fmt.Fprintf(w, "\nREFUSED\tCALLS\tWHAT serve CANNOT BE MADE TO TOUCH\n")
	for _, r := range l.Refuses {
		fmt.Fprintf(w, "%s\t%d\t%s\n", r.Group, r.Calls, r.Why)
	}
}

// printPrivileges is what an agent told of itself.
func printPrivileges(w io.Writer, h agent.Privileges) {
	fmt.Fprintf(w, "\nthe agent %d, in the most privileged of %d threads, has: %s\n", h.Pid, h.Threads, orNone(h.Capabilities))
	fmt.Fprintf(w, "what it could execute would have at most: %s; no_new_privs: %v; filter: %v\n", orNone(h.Bounding), h.NoNewPrivs, h.Filtered)
	if len(h.Missing) > 0 {
		fmt.Fprintf(w, "it lacks: %s\n", orNone(h.Missing))
	}
	if h.Confined {
		fmt.Fprintln(w, "it is confined: these are no more than the list says, and calls are refused")
	} else {
		fmt.Fprintln(w, "it has more than it needs: was it started with --keep-privileges?")
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}
