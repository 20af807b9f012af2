// Package family gives process descriptors where the kernel has none: who holds one, whom
// it means and when it is ready. A descriptor is the reading end of a pipe that its caller
// was made to open, so it is in the caller's own table, and dup, fork, exec and SCM_RIGHTS
// carry it along; the writing end is ours. It never decides who may have one.
//
// Read table.go first.
package family
