// Package policy is what a user allows: rules over the facts of a call, its caller
// and its target, the first match decides. It never gathers a fact itself and never
// sends or answers anything.
//
// Read query.go first, which says what can be asked, then decide.go. parse.go reads
// the file, node.go and tokens.go stand before it; registers.go is what a filter can
// have of a policy.
package policy
