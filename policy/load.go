package policy

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxSize is how many bytes a policy file may have.
const maxSize = 1 << 20

// Load reads and checks the policy in a file. The error is one line, and an Errors if
// it is about what the file says.
func Load(path string) (*Policy, error) {
	text, err := Read(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Read is the text of a policy's file, which Parse takes.
func Read(path string) ([]byte, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read policy %s: %w", path, err)
	}
	return text, nil
}

// read takes regular files alone: a FIFO would wait, a device may do anything.
func read(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, reason(err)
	} else if err := regular(info); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, reason(err)
	}
	defer file.Close()
	info, err := file.Stat() // the name may mean another file by now
	if err != nil {
		return nil, reason(err)
	}
	if err := regular(info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("it is larger than %d bytes, which is what a policy may have", maxSize)
	}
	return text, nil
}

func regular(info os.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	what := "a device"
	switch mode := info.Mode(); {
	case mode.IsDir():
		what = "a directory"
	case mode&os.ModeNamedPipe != 0:
		what = "a FIFO"
	case mode&os.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("it is %s: a policy is a regular file", what)
}

// reason leaves out the path, which the caller names.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
