package agent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// nameShape is what a policy may be called: a file name, and never a path.
var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// policyName finds the policy that a profile's listenerMetadata asks for: "" where it
// names none. Metadata is KEY=VALUE lines or a JSON object, and other keys are others'.
func policyName(metadata string) (string, error) {
	names, err := policyNames(strings.TrimSpace(metadata))
	if err != nil || len(names) == 0 {
		return "", err
	}
	for _, name := range names {
		if name != names[0] {
			return "", fmt.Errorf("the metadata names two policies, %.64q and %.64q", names[0], name)
		}
	}
	if !nameShape.MatchString(names[0]) {
		return "", fmt.Errorf("the metadata's policy %.64q is no name of a policy", names[0])
	}
	return names[0], nil
}

func policyNames(metadata string) ([]string, error) {
	if strings.HasPrefix(metadata, "{") {
		var object struct {
			Policy *string `json:"policy"`
		}
		if err := json.Unmarshal([]byte(metadata), &object); err != nil {
			return nil, fmt.Errorf("read the metadata: %w", err)
		}
		if object.Policy == nil {
			return nil, nil
		}
		return []string{*object.Policy}, nil
	}
	var names []string
	for line := range strings.Lines(metadata) {
		key, value, found := strings.Cut(line, "=")
		if found && strings.TrimSpace(key) == "policy" {
			names = append(names, strings.TrimSpace(value))
		}
	}
	return names, nil
}
