// Package tests holds what is tested across packages: the shape of the code here,
// the truth tables against the real kernel in truth, and the like. It ships with
// nothing.
//
// Read structure_test.go first: it says how the packages may use each other.
package tests
