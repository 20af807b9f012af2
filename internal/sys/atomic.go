package sys

import "unsafe"

// WordAt is the first word of b, for atomic access. Precondition: b is aligned to it.
func WordAt(b []byte) *uint32 { return (*uint32)(unsafe.Pointer(&b[0])) }
