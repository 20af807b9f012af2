package tests

import "testing"

// TestAgentFeedsWatchdog gives the agent a watchdog, as WatchdogSec= does: it is told again
// and again that the agent lives. What it does to one that does not, TestSystemd shows.
func TestAgentFeedsWatchdog(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "100000")
	m := newManager(t)
	m.start()
	m.await("the watchdog to be fed", func() bool { return m.fed >= 5 })
}
