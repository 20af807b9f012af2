package emulate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Readers reads memory that may never answer: in a process of its own, because a
// thread in such a read cannot be stopped but a process can be killed. One process
// serves the whole slow lane; a read that outlives its deadline costs that process.
// A Readers belongs to one worker.
type Readers struct {
	// Command starts `pidfd-shim` as a reader on the given end of a socket pair.
	Command  func(socket *os.File) (*os.Process, error)
	Deadline time.Duration

	process *os.Process
	socket  *os.File
	reply   [8 + arch.SiginfoSize]byte
}

// The wire: {tid, native uint32; addr uint64} asks, {errno, n uint32; bytes} answers.
const readRequest = 16

// Read is ReadMemory in the reader process, or errLater.
func (r *Readers) Read(tid int32, addr uint64, into []byte, native bool) (int, error) {
	if r.process == nil {
		if err := r.start(); err != nil {
			return 0, fmt.Errorf("start a reader process: %w", err)
		}
	}
	n, err := r.ask(tid, addr, into, native)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.stop()
		return 0, errLater
	case errors.Is(err, io.EOF), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		r.stop()
		return 0, errLater
	}
	return n, err
}

func (r *Readers) ask(tid int32, addr uint64, into []byte, native bool) (int, error) {
	var request [readRequest]byte
	binary.LittleEndian.PutUint32(request[0:], uint32(tid))
	if native {
		request[4] = 1
	}
	binary.LittleEndian.PutUint64(request[8:], addr)
	if err := r.socket.SetDeadline(time.Now().Add(r.Deadline)); err != nil {
		return 0, err
	}
	if _, err := r.socket.Write(request[:]); err != nil {
		return 0, err
	}
	got, err := r.socket.Read(r.reply[:])
	if err != nil {
		return 0, err
	}
	if got < 8 {
		return 0, io.EOF
	}
	if errno := binary.LittleEndian.Uint32(r.reply[0:]); errno != 0 {
		return 0, unix.Errno(errno)
	}
	n := min(int(binary.LittleEndian.Uint32(r.reply[4:])), got-8, len(into))
	copy(into, r.reply[8:8+n])
	return n, nil
}

func (r *Readers) start() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(fds[1]), "reader")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return err
	}
	r.socket = os.NewFile(uintptr(fds[0]), "reader")
	r.process, err = r.Command(theirs)
	if err != nil {
		_ = r.socket.Close()
	}
	return err
}

// stop kills the process and leaves its end to whoever reaps our children.
func (r *Readers) stop() {
	_ = r.process.Signal(syscall.SIGKILL)
	_ = r.process.Release()
	_ = r.socket.Close()
	r.process, r.socket = nil, nil
}

// ServeReads is the reader process: it answers reads on the socket until its end.
func ServeReads(socket *os.File) error {
	var request [readRequest]byte
	var reply [8 + arch.SiginfoSize]byte
	for {
		n, err := socket.Read(request[:])
		if n == 0 || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		tid := int32(binary.LittleEndian.Uint32(request[0:]))
		got, err := ReadMemory(tid, binary.LittleEndian.Uint64(request[8:]), reply[8:], request[4] == 1)
		binary.LittleEndian.PutUint32(reply[0:], uint32(errnoOf(err)))
		binary.LittleEndian.PutUint32(reply[4:], uint32(got))
		if _, err := socket.Write(reply[:8+got]); err != nil {
			return err
		}
	}
}
