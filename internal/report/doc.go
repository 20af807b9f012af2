// Package report makes one page out of an audit file: what was denied, who signalled
// whom, when, and how the calls were answered. It reads line by line and keeps sums,
// never the file; each bound that it reaches is said on the page.
//
// Read read.go first, then the file of a question: denials.go, graph.go, timeline.go,
// totals.go. Names are what programs chose themselves: text.go makes them harmless to
// look at, and markup.go, through which alone page.go writes, keeps them text.
package report
