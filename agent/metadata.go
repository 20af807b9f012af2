package agent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// nameShape is what a policy may be called: a file name, and never a path.
var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// wishes are what a profile's listenerMetadata says to the agent.
type wishes struct {
	policy string // "": none is named

	// seesLandlock: the profile says that it notifies of landlock_restrict_self, too.
	seesLandlock bool
}

// readMetadata reads KEY=VALUE lines or a JSON object. Other keys are others'.
func readMetadata(metadata string) (w wishes, err error) {
	var policies, notified []string
	metadata = strings.TrimSpace(metadata)
	if strings.HasPrefix(metadata, "{") {
		policies, notified, err = readObject(metadata)
	} else {
		policies, notified = readLines(metadata)
	}
	if err != nil {
		return w, fmt.Errorf("read the metadata: %w", err)
	}
	w.seesLandlock = slices.Contains(notified, "landlock_restrict_self")
	for _, name := range policies {
		switch {
		case name != policies[0]:
			return w, fmt.Errorf("the metadata names two policies, %.64q and %.64q", policies[0], name)
		case !nameShape.MatchString(name):
			return w, fmt.Errorf("the metadata's policy %.64q is no name of a policy", name)
		}
		w.policy = name
	}
	return w, nil
}

func readObject(metadata string) (policies, notified []string, err error) {
	var object struct {
		Policy   *string  `json:"policy"`
		Notifies []string `json:"notifies"`
	}
	if err := json.Unmarshal([]byte(metadata), &object); err != nil {
		return nil, nil, err
	}
	if object.Policy != nil {
		policies = []string{*object.Policy}
	}
	return policies, object.Notifies, nil
}

func readLines(metadata string) (policies, notified []string) {
	for line := range strings.Lines(metadata) {
		key, value, found := strings.Cut(line, "=")
		if !found {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "policy":
			policies = append(policies, value)
		case "notifies":
			for name := range strings.SplitSeq(value, ",") {
				notified = append(notified, strings.TrimSpace(name))
			}
		}
	}
	return policies, notified
}
