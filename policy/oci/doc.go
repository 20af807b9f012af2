// Package oci compiles container runtimes' seccomp profiles as the runtimes do, by
// libseccomp, to see what they will make of ours. Nothing of it runs: the filters that we
// install are package notify's. It stands apart so that who imports the library pulls in no C.
//
// Read compile_cgo.go; compile_pure.go is the build without cgo, which has none of it.
package oci
