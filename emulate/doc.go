// Package emulate does for a caller what pidfd_send_signal(2) does: it turns the
// caller's descriptor into a handle that the supervisor holds, checks in the kernel's
// order, and sends, through the handle where the kernel can, by number under a guard
// where it cannot. It never answers the caller and never acts on a bare number whose
// owner it has not verified.
//
// Read handle.go first: it is the way of one call, top-down. check.go has the numbered list of
// the kernel's checks, route.go who carries a call out. A file calls those below it in this list:
//
//	hypothetical grant descriptors handle
//	resolve resolve_number identify evidence check
//	route inject group judge send members guard ledger number
//	take known memory permission sandbox ancestry namespace
//	caller watch target plan attempt config signal errno
package emulate
