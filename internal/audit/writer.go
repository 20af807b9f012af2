package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Writer takes lines without ever waiting and writes them to a file from a goroutine
// of its own. It owns the file and closes it at the end. Errors of the file are
// counted and writing goes on: a full disk may be emptied.
//
// The file's flags stay as they are, since an inherited description belongs to others
// too, and writes bypass os.File's, which lets the process die of a broken pipe on
// standard error.
type Writer struct {
	file  *os.File
	conn  syscall.RawConn
	limit int
	pause time.Duration
	hurry chan struct{} // ends a pause
	end   chan struct{} // closed: no more pauses
	done  chan struct{}

	mu     sync.Mutex // guards below
	wake   *sync.Cond
	queue  []byte
	spare  []byte
	closed bool
	next   *os.File // takes the file's place before the next lines
	taken  bool     // the goroutine has lines that it has not written yet
	after  waiters  // those who wait for what is taken
	later  waiters  // those who wait for what is queued
	stats  Stats
}

// waiters are closed when what they wait for has been written.
type waiters []chan struct{}

// Stats counts lines.
type Stats struct {
	Written        uint64
	Dropped        uint64 // for want of room in the queue
	DroppedDenials uint64 // those of Dropped that were about denials
	Failed         uint64 // refused by the file
	LastError      error
}

// denialShare is the part of the queue that only lines about denials may fill.
const denialShare = 4

// NewWriter starts a Writer whose queue holds up to limit bytes. What comes within a pause
// after a line is written together: to wake another thread for each line costs more than
// to make it. Denials, and a queue that fills, do not wait.
func NewWriter(file *os.File, limit int, pause time.Duration) (*Writer, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("write audit lines: %w", err)
	}
	w := &Writer{file: file, conn: conn, limit: limit, pause: pause, done: make(chan struct{})}
	w.hurry, w.end = make(chan struct{}, 1), make(chan struct{})
	w.wake = sync.NewCond(&w.mu)
	go w.run()
	return w, nil
}

// Line queues a line, which ends in a newline, and copies it. It returns false if
// there was no room; the last quarter of the queue is for denials.
func (w *Writer) Line(line []byte, denial bool) bool {
	room := w.limit
	if !denial {
		room -= w.limit / denialShare
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.queue)+len(line) > room {
		w.stats.Dropped++
		if denial {
			w.stats.DroppedDenials++
		}
		return false
	}
	w.queue = append(w.queue, line...)
	w.wake.Signal()
	if denial || len(w.queue) > w.limit/2 {
		w.endPause()
	}
	return true
}

// Replace writes to another file from now on, as after a rotation, and closes the one so
// far. It takes ownership of the file, and does not wait.
func (w *Writer) Replace(file *os.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next != nil {
		_ = w.next.Close()
	}
	w.next = file
	w.wake.Signal()
	w.endPause()
}

// Stats returns the counts so far.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Flush waits until what is queued by now is written, and gives up after the time given.
func (w *Writer) Flush(patience time.Duration) error {
	w.mu.Lock()
	written := make(chan struct{})
	switch {
	case len(w.queue) > 0:
		w.later = append(w.later, written)
	case w.taken:
		w.after = append(w.after, written)
	default:
		close(written)
	}
	w.mu.Unlock()
	w.endPause()
	return await(written, patience)
}

// Close writes what is queued, and gives up after the time given: the file may be a
// pipe that nobody reads. Lines that come later are dropped.
func (w *Writer) Close(patience time.Duration) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.end)
	}
	w.wake.Signal()
	w.mu.Unlock()
	return await(w.done, patience)
}

func await(written <-chan struct{}, patience time.Duration) error {
	select {
	case <-written:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("write the last audit lines: %w", os.ErrDeadlineExceeded)
	}
}

// run is the writing goroutine.
func (w *Writer) run() {
	defer close(w.done)
	defer func() { _ = w.file.Close() }()
	torn := false // the file ends in the middle of a line
	for {
		batch, next := w.take()
		if next != nil && w.open(next) {
			torn = false
		}
		if batch == nil && next == nil {
			return
		}
		for len(batch) > 0 {
			var chunk []byte
			chunk, batch = cut(batch)
			torn = w.put(chunk, torn)
		}
		w.tell()
		w.rest()
	}
}

// tell says that what was taken is written.
func (w *Writer) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = false
	for _, written := range w.after {
		close(written)
	}
	w.after = nil
}

// rest lets lines gather.
func (w *Writer) rest() {
	if w.pause == 0 {
		return
	}
	select {
	case <-w.end:
	case <-w.hurry:
	case <-time.After(w.pause):
	}
}

// endPause wakes the goroutine if it rests, else it does not rest the next time.
func (w *Writer) endPause() {
	select {
	case w.hurry <- struct{}{}:
	default:
	}
}

// open puts a file in the place of the one so far.
func (w *Writer) open(next *os.File) bool {
	conn, err := next.SyscallConn()
	if err != nil {
		return false
	}
	_ = w.file.Close()
	w.file, w.conn = next, conn
	return true
}

// take waits for lines and returns all there are, and the file that is to be written to
// instead, if any; neither at the end.
func (w *Writer) take() (batch []byte, next *os.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && w.next == nil && !w.closed {
		w.wake.Wait()
	}
	next, w.next = w.next, nil
	if len(w.queue) == 0 {
		return nil, next
	}
	batch = w.queue
	w.queue, w.spare = w.spare[:0], batch
	w.taken = true
	w.after, w.later = w.later, nil
	return batch, next
}

// cut splits whole lines off, as many as a pipe takes in one piece (PIPE_BUF, pipe(7)):
// others may write to it too.
func cut(batch []byte) (chunk, rest []byte) {
	const pipeBuf = 4096
	end := len(batch)
	if end > pipeBuf {
		end = bytes.LastIndexByte(batch[:pipeBuf], '\n') + 1
	}
	if end == 0 {
		end = bytes.IndexByte(batch, '\n') + 1
	}
	return batch[:end], batch[end:]
}

// put writes a chunk and tells whether it broke off inside a line.
func (w *Writer) put(chunk []byte, torn bool) bool {
	if torn {
		if n, err := w.write([]byte{'\n'}); n == 0 {
			w.count(0, lines(chunk), err)
			return true
		}
	}
	n, err := w.write(chunk)
	whole := lines(chunk[:n])
	w.count(whole, lines(chunk)-whole, err)
	return n > 0 && chunk[n-1] != '\n'
}

func lines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }

func (w *Writer) count(written, failed int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Written += uint64(written)
	w.stats.Failed += uint64(failed)
	if err != nil {
		w.stats.LastError = err
	}
}

// write writes b in full, or returns how far it came. A file that somebody made
// non-blocking is waited for.
func (w *Writer) write(b []byte) (int, error) {
	total := 0
	for total < len(b) {
		n, err := w.writeOnce(b[total:])
		switch {
		case n > 0:
			total += n
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			w.poll()
		case err == nil:
			return total, os.ErrClosed
		default:
			return total, os.NewSyscallError("write", err)
		}
	}
	return total, nil
}

func (w *Writer) writeOnce(b []byte) (n int, err error) {
	if control := w.conn.Control(func(fd uintptr) { n, err = unix.Write(int(fd), b) }); control != nil {
		return 0, control
	}
	return n, err
}

func (w *Writer) poll() {
	_ = w.conn.Control(func(fd uintptr) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
	})
}
