package audit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuck makes a Writer whose goroutine waits in a full pipe, and the pipe's reader.
func stuck(t *testing.T, limit int) (*Writer, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	setBlocking(t, w)
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	must(t, err)
	_, err = w.Write(bytes.Repeat([]byte{'\n'}, size))
	must(t, err)
	writer, err := NewWriter(w, limit, 0)
	must(t, err)
	writer.Line([]byte("first\n"), false)
	for { // until the goroutine has taken it
		writer.mu.Lock()
		taken := len(writer.queue) == 0
		writer.mu.Unlock()
		if taken {
			return writer, r
		}
		runtime.Gosched()
	}
}

// setBlocking: what is inherited is blocking, os.Pipe's descriptors are not.
func setBlocking(t *testing.T, f *os.File) {
	t.Helper()
	must(t, unix.SetNonblock(int(f.Fd()), false))
}

func TestWriterNeverWaits(t *testing.T) {
	w, r := stuck(t, 400)
	ordinary := []byte(strings.Repeat("o", 99) + "\n")
	denial := []byte(strings.Repeat("d", 99) + "\n")
	taken := 0
	for range 10 {
		if w.Line(ordinary, false) {
			taken++
		}
	}
	if taken != 3 {
		t.Errorf("%d ordinary lines of 100 bytes in three quarters of 400", taken)
	}
	if !w.Line(denial, true) {
		t.Error("no room was kept for a denial")
	}
	if w.Line(denial, true) {
		t.Error("more than the limit was queued")
	}
	if s := w.Stats(); s.Dropped != 8 || s.DroppedDenials != 1 || s.Written != 0 {
		t.Errorf("stats %+v", s)
	}
	if err := w.Close(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("closing while nobody reads: %v", err)
	}
	if w.Line(ordinary, false) {
		t.Error("took a line after Close")
	}
	// Once somebody reads, everything that was queued comes.
	all, err := io.ReadAll(r)
	must(t, err)
	must(t, w.Close(patience))
	got := strings.TrimLeft(string(all), "\n")
	if want := "first\n" + strings.Repeat(string(ordinary), 3) + string(denial); got != want {
		t.Errorf("got %q", got)
	}
	if s := w.Stats(); s.Written != 5 {
		t.Errorf("stats %+v", s)
	}
}

// A description that was inherited belongs to others too: its flags stay, and a
// non-blocking one loses nothing.
func TestWriterLeavesFlags(t *testing.T) {
	for _, nonblock := range []bool{false, true} {
		var fds [2]int
		must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
		must(t, unix.SetNonblock(fds[1], nonblock))
		other, err := unix.Dup(fds[1])
		must(t, err)
		before, err := unix.FcntlInt(uintptr(other), unix.F_GETFL, 0)
		must(t, err)
		w, err := NewWriter(os.NewFile(uintptr(fds[1]), "inherited"), 1<<20, 0)
		must(t, err)
		const count = 2000 // more than the pipe holds
		for range count {
			w.Line([]byte(strings.Repeat("x", 99)+"\n"), false)
		}
		during, err := unix.FcntlInt(uintptr(other), unix.F_GETFL, 0)
		must(t, err)
		if during != before {
			t.Errorf("non-blocking %v: flags %#o became %#o", nonblock, before, during)
		}
		must(t, unix.Close(other))
		closed := make(chan error)
		go func() { closed <- w.Close(patience) }()
		all, err := io.ReadAll(os.NewFile(uintptr(fds[0]), "reader"))
		must(t, <-closed)
		if err != nil || len(all) != 100*count {
			t.Errorf("non-blocking %v: %d bytes of %d arrived, %v", nonblock, len(all), 100*count, err)
		}
	}
}

func TestWriterSurvivesErrors(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	r, broken, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	for want, file := range map[error]*os.File{unix.ENOSPC: full, unix.EPIPE: broken} {
		w, err := NewWriter(file, 1<<20, 0)
		must(t, err)
		for range 5 {
			w.Line([]byte("line\n"), false)
		}
		must(t, w.Close(patience))
		if s := w.Stats(); s.Failed != 5 || s.Written != 0 || !errors.Is(s.LastError, want) {
			t.Errorf("%v: stats %+v", want, s)
		}
	}
}

// Go ends a process that writes to a broken standard error through os.File.
func TestWriterSurvivesBrokenStderr(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"AUDIT_TEST_ROLE=stderr"}
	cmd.Stderr = w
	out, err := cmd.Output()
	if err != nil || string(out) != "alive" {
		t.Errorf("output %q, %v", out, err)
	}
}

func writeToBrokenStderr() {
	w, err := NewWriter(os.Stderr, 1<<20, 0)
	if err == nil {
		w.Line([]byte("line\n"), false)
		err = w.Close(patience)
	}
	if err == nil && w.Stats().Failed == 1 {
		_, _ = os.Stdout.WriteString("alive")
	}
	os.Exit(0)
}

// A line that a full disk cut off is ended before the next one, once there is room.
func TestWriterEndsTornLine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a small filesystem")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=8k"); err != nil {
		t.Skipf("mount tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 4096), 0o600))
	name := filepath.Join(dir, "audit")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	w, err := NewWriter(f, 1<<20, 0)
	must(t, err)
	long := strings.Repeat("x", 2999) + "\n"
	w.Line([]byte(long), false)
	w.Line([]byte(long), false)
	waitFor(t, w, func(s Stats) bool { return s.Failed == 1 })
	must(t, os.Remove(filler))
	w.Line([]byte("after\n"), false)
	must(t, w.Close(patience))
	text, err := os.ReadFile(name)
	must(t, err)
	if want := long + strings.Repeat("x", 1096) + "\nafter\n"; string(text) != want {
		t.Errorf("%d bytes, ending in %q", len(text), text[max(0, len(text)-20):])
	}
	if s := w.Stats(); s.Written != 2 || s.Failed != 1 {
		t.Errorf("stats %+v", s)
	}
}

func waitFor(t *testing.T, w *Writer, ready func(Stats) bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(w.Stats()); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("stats %+v", w.Stats())
		}
	}
}

// Pieces end where lines end, and fit a pipe as one if a line does.
func TestCut(t *testing.T) {
	long := strings.Repeat("y", 5000) + "\n"
	text := strings.Repeat(strings.Repeat("x", 99)+"\n", 50) + long + "z\n"
	var sizes []int
	for rest := []byte(text); len(rest) > 0; {
		var chunk []byte
		chunk, rest = cut(rest)
		if chunk[len(chunk)-1] != '\n' {
			t.Fatalf("a piece ends in %q", chunk[len(chunk)-1])
		}
		sizes = append(sizes, len(chunk))
	}
	want := []int{4000, 1000, 5001, 2}
	if len(sizes) != len(want) || sizes[0] != want[0] || sizes[1] != want[1] || sizes[2] != want[2] || sizes[3] != want[3] {
		t.Errorf("pieces of %v, want %v", sizes, want)
	}
}

// A rotation renames the file and has it opened anew: no line is lost or torn.
func TestWriterReplacesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	open := func() *os.File {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		must(t, err)
		return file
	}
	w, err := NewWriter(open(), 1<<20, 0)
	must(t, err)
	const each = 1000
	for range each {
		w.Line([]byte("before\n"), false)
	}
	must(t, os.Rename(path, path+".1"))
	w.Replace(open())
	for range each {
		w.Line([]byte("after\n"), false)
	}
	must(t, w.Close(patience))
	old, err := os.ReadFile(path + ".1")
	must(t, err)
	new, err := os.ReadFile(path)
	must(t, err)
	all := strings.Repeat("before\n", each) + strings.Repeat("after\n", each)
	if string(old)+string(new) != all || !strings.HasSuffix(string(new), "after\n") {
		t.Errorf("%d bytes before, %d after, want %d in their order", len(old), len(new), len(all))
	}
}

// What comes while the writer rests is written in one piece, and neither a denial nor a
// full queue nor the end waits for it.
func TestWriterGathers(t *testing.T) {
	var fds [2]int
	must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_DIRECT)) // each write is a read of its own
	r := os.NewFile(uintptr(fds[0]), "reader")
	defer r.Close()
	piece := func() string {
		buf := make([]byte, 4096)
		n, err := r.Read(buf)
		must(t, err)
		return string(buf[:n])
	}
	w, err := NewWriter(os.NewFile(uintptr(fds[1]), "writer"), 1000, time.Hour)
	must(t, err)
	send := func(text string, denial bool) {
		t.Helper()
		if !w.Line([]byte(text), denial) {
			t.Errorf("%q was dropped", text)
		}
		for range 1000 { // a writer that does not rest takes the line now
			runtime.Gosched()
		}
	}
	long := strings.Repeat("x", 500) + "\n"
	send("first\n", false)
	if got := piece(); got != "first\n" {
		t.Errorf("%q came first", got)
	}
	send("a\n", false)
	send("b\n", false)
	send("denied\n", true)
	if got := piece(); got != "a\nb\ndenied\n" {
		t.Errorf("%q came with the denial", got)
	}
	send("c\n", false)
	send(long, false)
	if got := piece(); got != "c\n"+long {
		t.Errorf("%q came with a full queue", got)
	}
	send("d\n", false)
	send("e\n", false)
	must(t, w.Close(patience))
	if got := piece(); got != "d\ne\n" {
		t.Errorf("%q came at the end", got)
	}
}

// TestFlush: what was queued, or taken, before it is written after it; a reader that does
// not read is waited for as long as was said.
func TestFlush(t *testing.T) {
	w, r := stuck(t, 1<<20)
	w.Line([]byte("second\n"), false)
	if err := w.Flush(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a full pipe: %v", err)
	}
	var text bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&text, r)
	}()
	must(t, w.Flush(time.Minute))
	if s := w.Stats(); s.Written != 2 {
		t.Errorf("%d lines written, want 2", s.Written)
	}
	must(t, w.Flush(time.Minute)) // nothing is queued
	must(t, w.Close(time.Minute))
	<-read
	if got := strings.TrimLeft(text.String(), "\n"); got != "first\nsecond\n" {
		t.Errorf("read %q", got)
	}
}
