package shim

import "time"

// AfterTicks fires when the watch has looked n times more.
func AfterTicks(n int) <-chan time.Time { return time.After(time.Duration(n) * tick) }
