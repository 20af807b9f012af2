package role

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Conn is one end of a pair over which a process and the one that has started it send each
// other messages: values as JSON, each behind its length, and descriptors with them. It is
// closed as the file is.
type Conn struct{ *os.File }

// Pair makes both ends.
func Pair(name string) (ours, theirs Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Conn{}, Conn{}, os.NewSyscallError("socketpair", err)
	}
	return Conn{os.NewFile(uintptr(fds[0]), name)}, Conn{os.NewFile(uintptr(fds[1]), name)}, nil
}

// header is a message's length.
const header = 4

// longest is far more than a filter of 4096 instructions.
const longest = 1 << 20

// Send sends a message, and copies of the descriptors. An end that has been closed is EPIPE,
// for which SIGPIPE is not ours to take.
func (c Conn) Send(message any, fds ...int) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	packet := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for len(packet) > 0 {
		n, err := unix.SendmsgN(int(c.Fd()), packet, rights, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("sendmsg", err)
		}
		packet, rights = packet[n:], nil
	}
	return nil
}

// Receive waits for a message, and returns the descriptor that came with it, or -1. io.EOF: the
// other end has been closed between two messages.
func (c Conn) Receive(message any) (fd int, err error) {
	var size [header]byte
	fd, err = c.read(size[:])
	if err != nil {
		return -1, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > longest {
		err = fmt.Errorf("receive a message: %d bytes", n)
	} else {
		text := make([]byte, n)
		if _, err = c.read(text); err == nil {
			err = json.Unmarshal(text, message)
		}
	}
	if err != nil && fd >= 0 {
		_ = unix.Close(fd)
		fd = -1
	}
	return fd, err
}

// read fills b. No descriptor comes but with a message's first byte.
func (c Conn) read(b []byte) (fd int, err error) {
	fd = -1
	control := make([]byte, unix.CmsgSpace(4))
	for got := 0; got < len(b); {
		n, oob, _, _, err := unix.Recvmsg(int(c.Fd()), b[got:], control, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return -1, os.NewSyscallError("recvmsg", err)
		case n == 0 && got == 0:
			return -1, io.EOF
		case n == 0:
			return -1, io.ErrUnexpectedEOF
		}
		got += n
		if oob > 0 {
			fd = right(control[:oob])
			control = nil
		}
	}
	return fd, nil
}

// right is the descriptor in a control message, or -1.
func right(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1
	}
	return fds[0]
}
