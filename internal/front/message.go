package front

import (
	"encoding/binary"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// kind says what a message from the supervisor reports.
type kind uint32

const (
	failed       kind = iota + 1 // value: the exit status; the supervisor has said why
	starting                     // COMMAND is about to be forked; any note is the answer
	started                      // value: COMMAND's pid
	stopped                      // value: the signal
	continued                    // a SIGCONT comes, too, unless COMMAND is stopped again
	ended                        // value: the wait status; nothing of COMMAND is left
	endedLeaving                 // value: the wait status; descendants live on
	noticed                      // value: a signal that somebody has sent to the supervisor
)

// message goes from the supervisor to the front: two 32-bit words. The other way
// go notes. Both are datagrams of a SOCK_SEQPACKET pair, whose end is the end of
// the other process.
type message struct {
	kind  kind
	value int32
}

func (m message) send(sock int) error {
	return sendPacket(sock, m.bytes(), 0)
}

// sendNow drops the message where a front that is stopped has not read the many
// before it: the SIGCONT that would make it read must not wait behind.
func (m message) sendNow(sock int) {
	_ = sendPacket(sock, m.bytes(), unix.MSG_DONTWAIT)
}

func (m message) bytes() []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(m.kind))
	return binary.NativeEndian.AppendUint32(b, uint32(m.value))
}

// receive returns io.EOF when the supervisor has ended.
func receive(sock int) (message, error) {
	var b [8]byte
	if err := receivePacket(sock, b[:]); err != nil {
		return message{}, err
	}
	return parseMessage(b), nil
}

func parseMessage(b [8]byte) message {
	return message{
		kind:  kind(binary.NativeEndian.Uint32(b[0:])),
		value: int32(binary.NativeEndian.Uint32(b[4:])),
	}
}

func sendPacket(sock int, b []byte, flags int) error {
	for {
		err := unix.Send(sock, b, unix.MSG_NOSIGNAL|flags)
		if err != unix.EINTR {
			return os.NewSyscallError("send", err)
		}
	}
}

func receivePacket(sock int, b []byte) error {
	for {
		n, _, err := unix.Recvfrom(sock, b, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.ECONNRESET, err == nil && n == 0:
			return io.EOF
		case err != nil:
			return os.NewSyscallError("recvfrom", err)
		case n != len(b):
			return io.ErrUnexpectedEOF
		default:
			return nil
		}
	}
}
