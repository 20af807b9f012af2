package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxName bounds what a policy may be called.
const maxName = 128

// isName tells what a policy may be called: a file name of letters, digits, '.', '_' and
// '-', the first a letter or digit, and never a path. By hand: a regular expression would
// be compiled at every start of the program, which run does twice.
func isName(name string) bool {
	const marks = "._-"
	if name == "" || len(name) > maxName || strings.IndexByte(marks, name[0]) >= 0 {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte(marks, c) >= 0:
		default:
			return false
		}
	}
	return true
}

// profileMetadata are what a profile's listenerMetadata says to the agent.
type profileMetadata struct {
	policy string // "": none is named

	// seesLandlock: the profile says that it notifies of landlock_restrict_self, too.
	seesLandlock bool

	// unseen: the profile itself denies calls, of which nobody tells the agent.
	unseen bool
}

// readMetadata reads KEY=VALUE lines or a JSON object. Other keys are others'.
func readMetadata(metadata string) (w profileMetadata, err error) {
	var policies, notified, denies []string
	metadata = strings.TrimSpace(metadata)
	if strings.HasPrefix(metadata, "{") {
		policies, notified, denies, err = readObject(metadata)
	} else {
		policies, notified, denies = readLines(metadata)
	}
	if err != nil {
		return w, fmt.Errorf("read the metadata: %w", err)
	}
	w.unseen = slices.Contains(denies, "unseen")
	w.seesLandlock = slices.Contains(notified, "landlock_restrict_self")
	for _, name := range policies {
		switch {
		case name != policies[0]:
			return w, fmt.Errorf("the metadata names two policies, %.64q and %.64q", policies[0], name)
		case !isName(name):
			return w, fmt.Errorf("the metadata's policy %.64q is no name of a policy", name)
		}
		w.policy = name
	}
	return w, nil
}

func readObject(metadata string) (policies, notified, denies []string, err error) {
	var object struct {
		Policy   *string  `json:"policy"`
		Notifies []string `json:"notifies"`
		Denies   string   `json:"denies"`
	}
	if err := json.Unmarshal([]byte(metadata), &object); err != nil {
		return nil, nil, nil, err
	}
	if object.Policy != nil {
		policies = []string{*object.Policy}
	}
	return policies, object.Notifies, []string{object.Denies}, nil
}

func readLines(metadata string) (policies, notified, denies []string) {
	for line := range strings.Lines(metadata) {
		key, value, found := strings.Cut(line, "=")
		if !found {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "policy":
			policies = append(policies, value)
		case "denies":
			denies = append(denies, value)
		case "notifies":
			for name := range strings.SplitSeq(value, ",") {
				notified = append(notified, strings.TrimSpace(name))
			}
		}
	}
	return policies, notified, denies
}
