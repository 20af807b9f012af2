// Package supervisor puts a supervisor together from its parts and starts the command
// under it: which backend, which mode, which filter, which handlers. It decides once,
// before the command starts, and never answers a call.
//
// Read base.go first.
package supervisor
