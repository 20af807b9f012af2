// Package agent serves the seccomp listeners that container runtimes hand over (OCI
// runtime-spec, linux.seccomp.listenerPath): it takes hand-overs from a socket, picks
// the operator's policy that each names, and has a service answer each listener's
// calls until the last task under it has ended. It never decides a call itself, and
// nothing that one peer or container does ends or delays the others.
//
// Read agent.go first. A hand-over goes accept.go, handover.go, metadata.go, serve.go.
package agent
