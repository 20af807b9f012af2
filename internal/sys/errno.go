package sys

import "golang.org/x/sys/unix"

// Err is an errno as an error: nil where there is none.
func Err(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// What a call returns inside of the kernel to be made again (include/linux/errno.h). A tracer
// alone ever sees them.
const (
	ERESTARTSYS           = 512
	ERESTARTNOINTR        = 513
	ERESTARTNOHAND        = 514
	ERESTART_RESTARTBLOCK = 516
)

// IsRestart tells whether a register has one of them.
func IsRestart(result uint64) bool {
	errno := -int32(result)
	return errno >= ERESTARTSYS && errno <= ERESTARTNOHAND || errno == ERESTART_RESTARTBLOCK
}
