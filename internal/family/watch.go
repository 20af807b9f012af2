package family

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// The watcher sees when a pipe's last reader is gone, and looks at tasks of whose end nobody
// tells us: those outside of the tree, and zombies, which their parents reap.

// Looks come this often at first, and ever more seldom while nothing happens.
const (
	soon = 2 * time.Millisecond
	late = 64 * time.Millisecond
)

func (t *Table) startWatcher() (err error) {
	if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if t.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, t.wake, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	go t.watch()
	return nil
}

// await has the watcher told of the end of a pipe's last reader: EPOLLERR always is.
func (t *Table) await(e *end) error {
	id := e.inode
	event := unix.EpollEvent{Events: unix.EPOLLET, Fd: int32(id), Pad: int32(id >> 32)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, e.fd, &event))
}

// rouse has the watcher look at a target from now on. Precondition: mu is held.
func (t *Table) rouse(target *Target) {
	if target.needsLook() {
		t.looked = true
		_, _ = unix.Write(t.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (target *Target) needsLook() bool {
	return target.state == ended || target.state == alive && !target.traced
}

func (t *Table) watch() {
	events := make([]unix.EpollEvent, 64)
	for pause := soon; ; pause = min(2*pause, late) {
		timeout := -1
		if t.toLook() {
			timeout = int(pause.Milliseconds())
		}
		n, err := unix.EpollWait(t.epoll, events, timeout)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if t.turn(events[:max(n, 0)]) {
			pause = soon
		}
	}
}

// turn does what has come up, and looks at everybody. It tells whether anything has happened.
func (t *Table) turn(events []unix.EpollEvent) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, event := range events {
		inode := uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32
		if e := t.ends[inode]; e != nil && event.Events&unix.EPOLLERR != 0 {
			t.drop(e)
		} else if inode == 0 { // rouse
			var count [8]byte
			_, _ = unix.Read(t.wake, count[:])
			news = true
		}
	}
	for _, target := range t.targets {
		if before := target.state; target.needsLook() {
			t.look(target)
			news = news || target.state != before
		}
	}
	return news
}

// toLook tells whether there is anybody of whom nobody else would tell.
func (t *Table) toLook() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.looked {
		return false
	}
	t.looked = false
	for _, target := range t.targets {
		t.looked = t.looked || target.needsLook()
	}
	return t.looked
}

// look finds out how far the end of a target has come. Of a tracee the tracer tells.
// Precondition: mu is held.
func (t *Table) look(target *Target) {
	if target.state == reaped || target.traced && target.state == alive {
		return
	}
	var stat proc.Stat
	err := t.Proc.DirFromFD(target.dir).Stat(&stat)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		t.end(target, reaped)
	case err != nil || target.state != alive:
	case stat.State == 'X', stat.State == 'Z' && (target.Thread || stat.Threads == 1):
		t.end(target, ended)
	}
}
