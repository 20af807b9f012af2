//go:build race

package policy

// scaled keeps counts small under the race detector, which finds nothing in one goroutine
// and makes it slow.
func scaled(n int) int { return n / 10 }
