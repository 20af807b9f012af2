package main

import (
	"runtime/debug"
	"time"
)

// collectLater keeps the collector away while COMMAND starts: the room that is made for the
// heap (shim.NewPool) would have it run at once, with some 5 % of what a start costs, for
// what a short command never needs.
func collectLater() {
	percent := debug.SetGCPercent(-1)
	time.AfterFunc(collectAfter, func() { debug.SetGCPercent(percent) })
}

// collectAfter is longer than a short command takes, and shorter than what eats up memory.
const collectAfter = 100 * time.Millisecond
