package sys

import "golang.org/x/sys/unix"

// Err is an errno as an error: nil where there is none.
func Err(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
