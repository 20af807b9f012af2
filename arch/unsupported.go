//go:build !amd64

package arch

// The build ends here, with one sentence instead of a list of names that do not exist.
const _ int = "pidfd-shim runs on x86-64 alone: docs/ARCHITECTURE.md says where to add an architecture"
