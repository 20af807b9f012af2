// Package tests holds what is decided across packages and against a real kernel: the
// shape of the code, the truth suite (truth/, a C program whose rows are run with and
// without the shim), and programs that others wrote, their calls counted (real_test.go).
// With the tag kernels both run on other kernels, in virtual machines (kernels_test.go).
// It has no code of its own outside of tests.
//
// Read truth/README.md first, then truth_test.go; structure_test.go says how the
// packages may use each other.
package tests
