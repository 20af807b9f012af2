package notify

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// successor opens a second descriptor of a memory, as the next supervisor gets it.
func successor(t *testing.T, m *Journal) *Journal {
	t.Helper()
	fd, err := unix.FcntlInt(m.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	next, note, err := OpenJournal(os.NewFile(uintptr(fd), "kept"))
	if err != nil || string(note) != "a note" {
		t.Fatalf("note %q, %v", note, err)
	}
	return next
}

// A supervisor dies at each point of a call; its successor knows of the listener and of
// the memory alone.
func TestSuccessorFinishesCalls(t *testing.T) {
	for _, row := range []struct {
		name string
		die  func(c *shim.Call) // what the dead one had done after it received the call
		want Remains
		line string
	}{
		{"received", func(*shim.Call) {}, Remains{Unserved: 1}, "7"},
		{"decided, nothing sent", func(c *shim.Call) { c.Entry.Sent(shim.Fail(unix.EPERM)) }, Remains{Unserved: 1}, "7"},
		{"sending", func(c *shim.Call) { c.BeginSend() }, Remains{Unknown: 1}, "0"},
		{"sent", func(c *shim.Call) { c.BeginSend(); c.Entry.Sent(shim.Return(0)) }, Remains{Sent: 1}, "0"},
		{"refused by the kernel", func(c *shim.Call) { c.BeginSend(); c.Entry.Sent(shim.Fail(unix.EAGAIN)) }, Remains{Sent: 1}, "-11"},
	} {
		t.Run(row.name, func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				c := launch(t, true, "-m64", "syscall", "calls", "2")
				memory, err := NewJournal([]byte("a note"))
				if err != nil {
					t.Fatal(err)
				}
				if r := c.Remember(memory); r != (Remains{}) {
					t.Errorf("a new memory holds %+v", r)
				}
				row.die(c.mustNext())

				next, err := Adopt(duplicate(t, c.Listener))
				if err != nil {
					t.Fatal(err)
				}
				if r := next.Remember(successor(t, memory)); r != row.want {
					t.Errorf("the memory holds %+v, want %+v", r, row.want)
				}
				for range row.want.Unserved + 1 { // and one more, as ever
					var call shim.Call
					if row.want.Unserved == 0 {
						c.expectLine(row.line)
					}
					if err := within(t, "a call", func() error { return nextShared(next, &call) }); err != nil {
						t.Fatal(err)
					}
					if err := next.Answer(&call, shim.Return(7)); err != nil {
						t.Error(err)
					}
					call.Finished()
					c.expectLine("7")
				}
				// Nothing is left for a third.
				if r := next.Remember(successor(t, memory)); r != (Remains{}) {
					t.Errorf("in the end the memory holds %+v", r)
				}
			})
		})
	}
}

func TestOpenJournalRefusesOthers(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": "pidfdshm", "zeros": strings.Repeat("\x00", journalSize),
		"another version": "pidfdshm\x63" + strings.Repeat("\x00", journalSize-9),
		"a long note":     "pidfdshm\x01\x00\x00\x00\xff\xff\xff\xff" + strings.Repeat("\x00", journalSize-16),
	} {
		fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), name)
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenJournal(file); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// More calls than there are slots are received all the same.
func TestJournalRunsFull(t *testing.T) {
	m, err := NewJournal(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var all []*slot
	for s := m.take(); s != nil; s = m.take() {
		s.open(64)
		all = append(all, s)
	}
	if len(all) != slotCount {
		t.Errorf("%d slots, want %d", len(all), slotCount)
	}
	all[3].Done()
	if s := m.take(); s != all[3] {
		t.Error("a slot that was freed is not used again")
	}
}
