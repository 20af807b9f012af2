package pidfdshim

import "github.com/pidfd-shim/pidfd-shim/policy"

// Policy says who may signal whom, with what. docs/POLICY.md describes the language.
type Policy struct{ policy *policy.Policy }

// ParsePolicy reads a policy from memory. The error is one line a fault, each with name,
// line and column.
func ParsePolicy(name string, text []byte) (*Policy, error) {
	p, err := policy.Parse(name, text)
	if err != nil {
		return nil, err
	}
	return &Policy{p}, nil
}

// LoadPolicy reads a policy from a regular file of at most 1 MiB.
func LoadPolicy(path string) (*Policy, error) {
	p, err := policy.Load(path)
	if err != nil {
		return nil, err
	}
	return &Policy{p}, nil
}
