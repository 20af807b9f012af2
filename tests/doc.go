<<<<<<< HEAD
// Package tests holds what is tested across packages: the shape of the code here,
// the truth tables against the real kernel in truth, and the like. It ships with
// nothing.
//
// Read structure_test.go first: it says how the packages may use each other.
=======
// Package tests holds what is decided against a real kernel: the truth suite
// (truth/, a C program whose rows are run with and without the shim). It has no
// code of its own outside of tests. Read truth/README.md first, then
// truth_test.go.
>>>>>>> refs/heads/truth
package tests
