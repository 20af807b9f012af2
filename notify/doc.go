// Package notify is the backend that lives on seccomp user notification: a filter
// that hands our system calls to a listener, and the listener that receives each
// call, tells whether its caller still waits, and answers it. It never looks at a
// target, a siginfo or a policy: what it was handed to answer, it answers.
//
// Read filter.go first (which calls reach us at all), then install.go (how the
// filter gets under a command) and listener.go (the loop's three calls).
package notify
