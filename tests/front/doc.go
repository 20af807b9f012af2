// Package front compares what programs, shells and those who look after them see of a
// command under `run` with what they see without it: its start, its signals, its end, its
// environment and limits. Each row runs natively and under each backend, with and without
// --protect-supervisor, and has to print the same. Pseudo-terminals have rows of their own.
package front
