// Package amd64 reads the 64-bit side of x86: system call numbers, argument
// widths and siginfo layout of the amd64 ABI and of x32, which shares its entry.
// Pure functions over bytes and integers.
//
// Read args.go first.
package amd64
