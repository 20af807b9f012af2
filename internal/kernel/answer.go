package kernel

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// answer turns what a trial call returned into one of the three answers. The errnos
// in absent are how kernels without the feature refuse it; ENOSYS always is one.
func answer(trial string, err error, absent ...unix.Errno) error {
	var errno unix.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno) && (errno == unix.ENOSYS || slices.Contains(absent, errno)):
		return fmt.Errorf("%s: %w (%s)", trial, errors.ErrUnsupported, unix.ErrnoName(errno))
	}
	return fmt.Errorf("%s: %w", trial, err)
}

// refusal is answer for a trial that is made to fail: with present the kernel shows
// that it got past the point where it would have refused an unknown request.
func refusal(trial string, err error, present, absent unix.Errno) error {
	switch {
	case errors.Is(err, present):
		return nil
	case err == nil:
		return fmt.Errorf("%s: succeeded where %s was due", trial, unix.ErrnoName(present))
	}
	return answer(trial, err, absent)
}
