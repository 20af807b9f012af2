// Package arch holds the neutral words of a system call: the registers as they
// were (Frame), the arguments at the width of the caller's ABI (Args), and the
// signal record as the kernel keeps it (Siginfo). All of it is pure values: no
// system calls, no time, no logging, no unsafe.
//
// Read frame.go first. How one ABI spells these words is in arch/amd64 (64-bit
// and x32) and arch/386 (i386).
package arch
