package notify

import "unsafe"

// wordAt is the first word of b, for atomic access. Precondition: b is aligned to it.
func wordAt(b []byte) *uint32 { return (*uint32)(unsafe.Pointer(&b[0])) }
