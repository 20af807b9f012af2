//go:build shimtest

package main

// testSwitches tells whether --pretend exists.
const testSwitches = true
