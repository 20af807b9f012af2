package agent

import (
	"container/list"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a peer may take for its hand-over: crun connects before it
// makes the container.
const patience = 30 * time.Second

// connLimiter takes connections and gives each the time of patience. Past the limit the
// oldest is closed: a runtime that has something to hand over does so at once.
type connLimiter struct {
	agent *Agent
	limit int

	mu   sync.Mutex // guards below
	open list.List  // of *net.UnixConn, oldest first
	full bool       // said so
	over bool       // nobody is let in any more
}

// run accepts until the socket is closed, or Stop.
func (d *connLimiter) run(socket *net.UnixListener) error {
	for {
		conn, err := socket.AcceptUnix()
		switch {
		case err == nil:
			d.admit(conn)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded): // see Stop
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
			d.agent.Log.Error("no descriptors or memory left for a hand-over: it waits", "error", err)
			if !d.agent.rest() {
				return nil
			}
		default:
			return err
		}
	}
}

func (d *connLimiter) admit(conn *net.UnixConn) {
	d.mu.Lock()
	at := d.open.PushBack(conn)
	full := d.open.Len() > d.limit
	for d.open.Len() > d.limit || d.over && d.open.Len() > 0 {
		oldest := d.open.Front()
		_ = oldest.Value.(*net.UnixConn).Close()
		d.open.Remove(oldest)
	}
	say := full && !d.full
	d.full = full
	d.mu.Unlock()
	if say {
		d.agent.Log.Warn("limit of connections reached: the oldest is closed for each new one", "limit", d.limit)
	}
	d.agent.work.Go(func() {
		d.agent.greet(conn)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.open.Remove(at) // nothing, if it has made room for another
	})
}

// shut hangs up on whoever is under way, and on those that still come.
func (d *connLimiter) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	for e := d.open.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*net.UnixConn).Close()
	}
	d.open.Init()
}

func (d *connLimiter) reopen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = false
}

// greet is one connection from its peer's credentials to the end. Whatever comes of it
// is the peer's affair: the agent goes on.
func (a *Agent) greet(conn *net.UnixConn) {
	defer conn.Close()
	peer, err := peerOf(conn)
	if err == nil && peer.Uid != 0 && peer.Uid != a.PeerUID {
		err = errStranger
	}
	if err != nil {
		a.refused(peer, err)
		return
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	h, err := receive(conn)
	switch {
	case errors.Is(err, errNothing):
		a.Log.Debug("a peer closed without a hand-over", "pid", peer.Pid)
	case err != nil:
		a.refused(peer, err)
	default:
		if err := a.take(h, peer); err != nil {
			a.refused(peer, err)
		}
	}
}

var errStranger = errors.New("neither root nor the uid that may hand over (--peer-uid)")

func (a *Agent) refused(peer unix.Ucred, err error) {
	a.refusals.Add(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("took too long")
	}
	a.Log.Warn("refused a hand-over", "pid", peer.Pid, "uid", peer.Uid, "error", err)
}

// peerOf tells who connected.
func peerOf(conn *net.UnixConn) (unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return unix.Ucred{}, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil || peer == nil {
		return unix.Ucred{}, err
	}
	return *peer, nil
}
