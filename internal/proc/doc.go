// Package proc reads facts about tasks from procfs, pidfds and namespace
// descriptors. It never signals, never waits and never trusts a mount: the
// supervisor opens its own procfs (FS) before the sandbox starts, and each read
// refuses what has been mounted over a file.
//
// Read fs.go first, then beneath.go for how a lie is refused. The texts are parsed
// in status.go, stat.go and fdinfo.go; a process writes its own name into two of
// them, so those parsers take hostile bytes.
//
// ESRCH always means that the process is gone.
package proc
