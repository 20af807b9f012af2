package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"unicode"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Bounds of one hand-over. A runtime sends some 210 bytes and one descriptor in one
// message; the rest is for what runtimes may come to, and against those that are none.
const (
	maxMessage     = 64 << 10
	maxDescriptors = 16
	maxReads       = 256
	maxID          = 256
)

// errNothing is a peer that closes without having sent anything: what crun does when
// the container could not be created.
var errNothing = errors.New("closed without a hand-over")

// handover is what a runtime says of a listener, and the listener.
type handover struct {
	state    specs.ContainerProcessState
	listener *os.File
}

// receive reads one hand-over. The JSON is tried after each message, because runtimes
// leave the connection open; every descriptor that came and is not the listener is
// closed.
func receive(conn *net.UnixConn) (handover, error) {
	var p message
	defer p.close()
	for range maxReads {
		end := p.read(conn)
		if end != nil && !errors.Is(end, io.EOF) {
			return handover{}, end
		}
		h, complete, err := p.open()
		switch {
		case err != nil:
			return handover{}, err
		case complete:
			return h, nil
		case end != nil && len(p.text) == 0:
			return handover{}, errNothing
		case end != nil:
			return handover{}, fmt.Errorf("closed after %d bytes, in the middle of the state", len(p.text))
		}
	}
	return handover{}, fmt.Errorf("the state came in more than %d pieces", maxReads)
}

// message is what has come over a connection so far.
type message struct {
	text  []byte
	files []*os.File
}

func (p *message) close() {
	for _, f := range p.files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// read takes one message, io.EOF at the end.
func (p *message) read(conn *net.UnixConn) error {
	const step = 4096
	if len(p.text) > maxMessage {
		return fmt.Errorf("the state has more than %d bytes", maxMessage)
	}
	var control [64 + 4*maxDescriptors]byte
	old := len(p.text)
	p.text = append(p.text, make([]byte, step)...)
	n, oob, flags, _, err := conn.ReadMsgUnix(p.text[old:], control[:unix.CmsgSpace(4*maxDescriptors)])
	p.text = p.text[:old+max(n, 0)]
	if taken := p.take(control[:max(oob, 0)]); err == nil {
		err = taken
	}
	switch {
	case err != nil:
		return err
	case flags&unix.MSG_CTRUNC != 0 || len(p.files) > maxDescriptors:
		return fmt.Errorf("more than %d descriptors, or no room here for them", maxDescriptors)
	case n == 0:
		return io.EOF
	}
	return nil
}

// take makes files of the descriptors that a message brought. ReadMsgUnix has asked for
// close-on-exec.
func (p *message) take(control []byte) error {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return fmt.Errorf("read control messages: %w", err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not descriptors
		}
		for _, fd := range fds {
			p.files = append(p.files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return nil
}

// open tells whether all has come, and takes the listener out.
func (p *message) open() (h handover, complete bool, err error) {
	text := bytes.TrimSpace(p.text)
	switch {
	case len(text) == 0:
		return h, false, nil
	case text[0] != '{':
		return h, false, errors.New("the state is not a JSON object")
	case text[len(text)-1] != '}':
		return h, false, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&h.state); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return h, false, nil
	case err != nil:
		return h, false, fmt.Errorf("read the state: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return h, false, errors.New("something follows the state")
	}
	if err := checkID(h.state.State.ID); err != nil {
		return h, false, err
	}
	at, err := listenerAt(h.state.Fds, len(p.files))
	if err != nil {
		return h, false, err
	}
	h.listener, p.files[at] = p.files[at], nil
	return h, true, nil
}

// listenerAt finds which of the descriptors is the listener: fds names them in order.
func listenerAt(names []string, count int) (int, error) {
	at := -1
	for i, name := range names {
		if name != specs.SeccompFdName {
			continue
		}
		if at >= 0 {
			return 0, fmt.Errorf("%q is named twice", specs.SeccompFdName)
		}
		at = i
	}
	switch {
	case at < 0:
		return 0, fmt.Errorf("no descriptor is named %q", specs.SeccompFdName)
	case at >= count:
		return 0, fmt.Errorf("%q is descriptor %d of %d that came", specs.SeccompFdName, at+1, count)
	}
	return at, nil
}

// checkID takes an id that can stand in a log line and a table as it is.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("the container's id has %d bytes, not 1 to %d", len(id), maxID)
	}
	for _, r := range id {
		if r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return fmt.Errorf("the container's id %q has characters that are not printable", id)
		}
	}
	return nil
}
