// Package policy is what a user allows: rules over the facts of a call, its caller
// and its target, the first match decides. It never gathers a fact itself and never
// sends or answers anything.
package policy
