// Package learn makes a policy of an audit, and tells what a policy would have made of one.
// It reads files and never a process.
//
// Read learn.go first: which calls become one rule. line.go is what is read of a line,
// yaml.go writes the policy, replay.go asks one.
package learn
