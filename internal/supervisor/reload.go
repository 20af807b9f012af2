package supervisor

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Reload puts the policy file in force as it stands now, for every call that comes from
// now on; with an error the old one stays. The filter cannot be changed once it is
// installed: beyond names the rules that hold only for calls that the filter hands over.
func (b *Base) Reload() (beyond []string, err error) {
	o := b.options
	if err := o.LoadPolicy(); err != nil {
		return nil, err
	}
	if !slices.Equal(o.policy.Syscalls(), b.policy.Syscalls()) {
		return nil, fmt.Errorf("%s: syscalls: the filter was made for %v, not %v: start the command anew", o.PolicyFile, b.policy.Syscalls(), o.policy.Syscalls())
	}
	if _, err := o.Resolve(b.Features); err != nil {
		return nil, err
	}
	b.live.Replace(o.policy)
	return b.beyondFilter(o.policy), nil
}

// beyondFilter names the rules whose part in the filter would be another today.
func (b *Base) beyondFilter(p *policy.Policy) []string {
	if b.options.Observed { // with which the filter decides nothing
		return nil
	}
	installed := b.policy.Registers()
	var beyond []string
	for _, line := range p.Registers() {
		same := func(other policy.RegisterRule) bool {
			return line.Syscall == other.Syscall && line.ABI == other.ABI && line.Then == other.Then && line.Errno == other.Errno &&
				reflect.DeepEqual(line.When, other.When)
		}
		if !slices.ContainsFunc(installed, same) && !slices.Contains(beyond, line.Rule) {
			beyond = append(beyond, line.Rule)
		}
	}
	return beyond
}
