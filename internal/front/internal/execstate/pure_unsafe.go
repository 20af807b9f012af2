//go:build !cgo

package execstate

import _ "unsafe" // for go:linkname

// CanExec: what runs before the Go runtime in a pure build is too little for that.
const CanExec = false

// The runtime's entry calls what _cgo_init points to before anything else, if it is set
// (runtime/asm_amd64.s, rt0_go): package runtime/cgo sets it to what makes threads. In a pure
// build it is ours, and nil again afterwards, when the entry is begun a second time.
//
//go:linkname _cgo_init _cgo_init
//go:linkname pidfd_shim_born pidfd_shim_born
var (
	_cgo_init       = &pidfd_shim_born
	pidfd_shim_born byte //nolint:revive // its address is the assembly's
)

// What it has seen.
var (
	blocked, ignored uint64
	closed           int
)

// At returns what was seen before the Go runtime started.
func At() State { return State{Blocked: blocked, Ignored: ignored, Closed: closed} }
