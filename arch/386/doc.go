// Package i386 reads the 32-bit side of x86: system call numbers, arguments cut
// to 32 bits and the compat siginfo layout. Pure functions over bytes and
// integers.
//
// Read args.go first. The package is always imported as i386.
package i386
