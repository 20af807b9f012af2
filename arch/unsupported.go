//go:build !amd64

package arch

// The build ends here, with one sentence instead of a list of names that do not exist.
const _ int = "arch has no entries for this machine, only x86-64's: docs/ARCHITECTURE.md, where do I add an architecture, says what is missing"
