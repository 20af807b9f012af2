// Package tests holds what is decided against a real kernel: the truth suite
// (truth/, a C program whose rows are run with and without the shim). It has no
// code of its own outside of tests. Read truth/README.md first, then
// truth_test.go.
package tests
