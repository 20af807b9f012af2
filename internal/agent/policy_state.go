package agent

import "time"

// State says what a container is served by, beside the policy's name.
type State string

// The states of a policy. Only the first two are the file's words.
const (
	InForce State = ""
	Stale   State = "stale"   // the file cannot be read as it is now: what it said before is in force
	Bad     State = "bad"     // it never could
	Missing State = "missing" // there is none
)

// Reloaded is how the last look at the files ended.
type Reloaded struct {
	At  time.Time
	Bad int // files that could not be read
}
