package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An agent that replaces a running one connects to its upgrade socket and is sent all that
// it needs, one message a thing: a line of JSON and two descriptors. It answers when it has
// everything, is told to serve, and does; before that the old one can still go on.

// upgradePatience is how long one waits for the other.
const upgradePatience = 30 * time.Second

// messageLabel says what a message of an upgrade brings.
type messageLabel struct {
	Kind string `json:"kind"` // socket, listener, end
	Name string `json:"name,omitempty"`
	Path string `json:"path,omitempty"`
}

// OpenUpgrade listens for whoever replaces us.
func OpenUpgrade(path string) (*Socket, error) { return openSocket(path, unix.SOCK_SEQPACKET) }

// HandOver gives everything to whoever has connected: the sockets by their names and all
// listeners. nil: the other one serves now. Precondition: Stop has returned.
func (a *Agent) HandOver(conn *net.UnixConn, sockets map[string]*Socket) error {
	_ = conn.SetDeadline(time.Now().Add(upgradePatience))
	for name, s := range sockets {
		file, err := s.File()
		if err != nil {
			return fmt.Errorf("hand over socket %s: %w", name, err)
		}
		err = sendMessage(conn, messageLabel{Kind: "socket", Name: name, Path: s.path}, file, s.lock)
		_ = file.Close()
		if err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for s := range a.served {
		if err := sendMessage(conn, messageLabel{Kind: "listener", Name: s.Name}, s.listener.File(), s.journal.File()); err != nil {
			return err
		}
	}
	if err := sendMessage(conn, messageLabel{Kind: "end"}); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return fmt.Errorf("wait for the new agent: %w", err)
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return fmt.Errorf("let the new agent serve: %w", err)
	}
	return nil
}

func sendMessage(conn *net.UnixConn, label messageLabel, files ...*os.File) error {
	text, err := json.Marshal(label)
	if err != nil {
		return err
	}
	var fds []int
	for _, f := range files {
		if f == nil {
			continue
		}
		fd, err := numberOf(f)
		if err != nil {
			return fmt.Errorf("hand over %s %s: %w", label.Kind, label.Name, err)
		}
		fds = append(fds, fd)
	}
	if _, _, err := conn.WriteMsgUnix(text, unix.UnixRights(fds...), nil); err != nil {
		return fmt.Errorf("hand over %s %s: %w", label.Kind, label.Name, err)
	}
	return nil
}

// numberOf is f.Fd() without its side effect, which is that the descriptor blocks from then
// on, and with it every other of the same socket: an accept of ours that is made
// afterwards would never end. The number is good as long as f is open.
func numberOf(f *os.File) (number int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = raw.Control(func(fd uintptr) { number = int(fd) })
	return number, err
}

// Inheritance is what a running agent hands over to the one that replaces it.
type Inheritance struct {
	Sockets   map[string]*Socket
	listeners [][2]*os.File
	conn      *net.UnixConn
}

// Inherit asks the agent that listens at path for everything. It stops serving, and goes on
// unless Accept is called in time.
func Inherit(path string) (*Inheritance, error) {
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("take over from the running agent: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(upgradePatience))
	i := &Inheritance{Sockets: map[string]*Socket{}, conn: conn}
	for {
		end, err := i.receive()
		if err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("take over from the running agent: %w", err)
		}
		if end {
			return i, nil
		}
	}
}

func (i *Inheritance) receive() (end bool, err error) {
	var p message
	if err := p.read(i.conn); err != nil {
		p.close()
		return false, err
	}
	var label messageLabel
	if err := json.Unmarshal(p.text, &label); err != nil {
		p.close()
		return false, err
	}
	switch {
	case label.Kind == "end":
		return true, nil
	case label.Kind == "listener" && len(p.files) == 2:
		i.listeners = append(i.listeners, [2]*os.File{p.files[0], p.files[1]})
		return false, nil
	case label.Kind == "socket" && len(p.files) > 0:
		s, err := AdoptSocket(p.files[0])
		if err != nil {
			return false, err
		}
		s.path = label.Path
		if len(p.files) > 1 {
			s.lock = p.files[1]
		}
		i.Sockets[label.Name] = s
		return false, nil
	}
	p.close()
	return false, fmt.Errorf("a message of kind %q with %d descriptors", label.Kind, len(p.files))
}

// Accept says that everything has come, and serves once the old agent has said that it
// does not any more: never both.
func (i *Inheritance) Accept(a *Agent) error {
	defer i.conn.Close()
	_, err := i.conn.Write([]byte{1})
	if err == nil {
		_, err = io.ReadFull(i.conn, make([]byte, 1))
	}
	if err != nil {
		return fmt.Errorf("take over from the running agent: %w", err)
	}
	for _, files := range i.listeners {
		if err := a.Restore(files[0], files[1]); err != nil {
			a.Log.Error("cannot go on with a listener: its container gets ENOSYS", "error", err)
		}
	}
	return nil
}
