// Package audit writes down what became of each call: Trace as a line in the manner
// of strace, JSON as one object a line. Both hand their lines to a Writer, which
// never makes a caller wait: what does not fit its queue is dropped and counted.
//
// Read json.go first; the comment there lists the fields. Facts about callers and
// targets come from facts.go, everything that a program chose itself goes through
// text.go, so that no line can be forged.
package audit
