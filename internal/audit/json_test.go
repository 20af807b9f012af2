package audit

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// still is a clock that does not move.
func still() (time.Time, int64) {
	return time.Date(2026, 2, 3, 4, 5, 6, 7000, time.FixedZone("", 3600)), 1_042_999
}

// The golden file pins every field, its order and its form.
func TestJSONGolden(t *testing.T) {
	w, end := collect(t)
	j := NewJSON(Config{Writer: w, Backend: "notify", Container: "web", now: still})
	for _, e := range examples() {
		e.call.Decode()
		e.call.Record.Notes = &e.notes
		j.After(&e.call, e.verdict, e.answered)
	}
	text := end()
	golden(t, "lines.json", text)
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if got := strings.Count(text, "\n"); got != len(examples()) {
		t.Errorf("%d lines of %d calls: one was forged or lost", got, len(examples()))
	}
}

// line is what tests read of a line.
type line struct {
	Seq    uint64
	Caller struct {
		Pid, Tid  int32
		UID       *uint32
		Comm, Exe string
		Pidns     uint64
	}
	Target *struct {
		Pid   int32
		Start uint64
		UID   *uint32
		Comm  *string
		Exe   string
		Pidns uint64
	}
}

func parse(t *testing.T, text string) []line {
	t.Helper()
	var list []line
	for row := range strings.Lines(text) {
		var l line
		must(t, json.Unmarshal([]byte(row), &l))
		list = append(list, l)
	}
	return list
}

// victim is a process to be signalled.
func victim(t *testing.T) (pid int32, end func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"AUDIT_TEST_ROLE=wait"}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, 1))
	must(t, err)
	var once sync.Once
	end = func() {
		once.Do(func() {
			_ = in.Close()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(end)
	return int32(cmd.Process.Pid), end
}

func openProc(t *testing.T) *proc.FS {
	t.Helper()
	f, err := proc.Open()
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A target that the signal ends is described all the same, if the handler says that
// it is about to send; otherwise the line says what it does not know.
func TestTargetThatDiesOfTheSignal(t *testing.T) {
	w, end := collect(t)
	j := NewJSON(Config{Writer: w, Proc: openProc(t), Backend: "notify"})
	exe, err := os.Executable()
	must(t, err)
	var pids []int32
	for _, told := range []bool{true, false} {
		pid, stop := victim(t)
		pids = append(pids, pid)
		c := call424(3, int32(unix.SIGTERM), 0, 0)
		c.Tid, c.Record.TargetPid = int32(os.Getpid()), pid
		if told {
			j.BeforeSend(&c)
		}
		stop()
		j.Before(&c, shim.Return(0))
		j.After(&c, shim.Return(0), nil)
	}
	j.Close()
	got := parse(t, end())
	first, second := got[0].Target, got[1].Target
	if first.Pid != pids[0] || first.Comm == nil || *first.Comm != "exe" || first.Exe != exe || first.Start == 0 || first.Pidns == 0 {
		t.Errorf("told: %+v", first)
	}
	if second.Pid != pids[1] || second.Comm != nil || second.UID != nil {
		t.Errorf("not told: %+v", second)
	}
	if c := got[0].Caller; int(c.Pid) != os.Getpid() || c.UID == nil || int(*c.UID) != os.Getuid() || c.Exe != exe {
		t.Errorf("caller: %+v", c)
	}
}

// What can change is read again: with Fresh names may be old, ids never.
func TestFactsFollowTheirTask(t *testing.T) {
	f := openProc(t)
	for _, row := range []struct {
		name  string
		fresh time.Duration
		want  string
	}{{"always read", 0, "second"}, {"fresh for an hour", time.Hour, "first"}} {
		t.Run(row.name, func(t *testing.T) {
			g := gatherer{fs: f, fresh: row.fresh}
			defer g.close()
			done := make(chan bool)
			go func() {
				runtime.LockOSThread() // and the thread ends, with its name and uid
				defer close(done)
				var got facts
				tid := int32(unix.Gettid())
				setComm(t, "first")
				if !g.about(tid, shim.IDs{}, &got) || got.comm != "first" || int(got.tgid) != os.Getpid() {
					t.Errorf("facts %+v", got)
				}
				setComm(t, "second")
				wantUID := uint32(os.Getuid())
				if wantUID == 0 { // of this thread alone: no Setuid of package syscall
					if _, _, err := unix.RawSyscall(unix.SYS_SETRESUID, 12345, ^uintptr(0), ^uintptr(0)); err == 0 {
						wantUID = 12345
					}
				}
				if !g.about(tid, shim.IDs{}, &got) || got.comm != row.want || got.uid != wantUID {
					t.Errorf("later: facts %+v, want comm %s, uid %d", got, row.want, wantUID)
				}
			}()
			<-done
		})
	}
}

// A handle never answers for the next owner of a number, and handles are bounded.
func TestGathererForgets(t *testing.T) {
	for _, withPidfd := range []bool{true, false} {
		g := gatherer{fs: openProc(t), fresh: time.Hour}
		pid, end := victim(t)
		var got facts
		if !g.about(pid, shim.IDs{}, &got) {
			t.Fatal("no facts of a process that lives")
		}
		if !withPidfd && g.known[pid].pidfd >= 0 {
			must(t, unix.Close(g.known[pid].pidfd))
			g.known[pid].pidfd = -1
		}
		end()
		stale := shim.IDs{Known: true, Tgid: pid}
		if g.about(pid, stale, &got) || len(g.known) != 0 {
			t.Errorf("pidfd %v: facts %+v of a process that was reaped", withPidfd, got)
		}
		for i := range int32(3 * maxTasks) {
			g.known[-i-1] = &task{tid: -i - 1, pidfd: -1, dir: dirOf(t, g.fs)}
			for len(g.known) > maxTasks {
				g.drop(g.oldest())
			}
		}
		g.close()
		if len(g.known) != 0 {
			t.Errorf("%d handles after close", len(g.known))
		}
	}
}

// What is known of a living task is not read again.
func TestGathererTakesKnownIDs(t *testing.T) {
	g := gatherer{fs: openProc(t), fresh: time.Hour}
	defer g.close()
	pid, end := victim(t)
	var got facts
	if !g.about(pid, shim.IDs{}, &got) {
		t.Fatal("no facts of a process that lives")
	}
	if g.known[pid].pidfd < 0 {
		t.Skip("PIDFD_GET_INFO: this kernel lacks it")
	}
	if !g.about(pid, shim.IDs{Known: true, Tgid: pid, UID: 4711}, &got) || got.uid != 4711 {
		t.Errorf("facts %+v, not those that were known", got)
	}
	held := shim.IDs{Known: true, Tgid: pid, UID: 4712, Handle: new(int)}
	for range 2 { // as of this task at first, then by its own word
		if !g.about(pid, held, &got) || got.uid != 4712 {
			t.Errorf("facts %+v, not those of the handle", got)
		}
	}
	end()
	held.Handle = new(int) // which may be of the next owner of the number
	if g.about(pid, held, &got) || len(g.known) != 0 {
		t.Errorf("facts %+v of a process that was reaped, by another's handle", got)
	}
}

func dirOf(t *testing.T, f *proc.FS) *proc.Dir {
	t.Helper()
	d, err := f.Dir(int32(os.Getpid()))
	must(t, err)
	return d
}

// Lines are in the order of seq, whoever writes them.
func TestSeqInOrder(t *testing.T) {
	w, end := collect(t)
	j := NewJSON(Config{Writer: w, Proc: openProc(t), Backend: "notify"})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				c := call424(3, 1, 0, 0)
				c.Tid, c.Record.TargetPid = int32(os.Getpid()), int32(os.Getppid())
				j.BeforeSend(&c)
				j.Before(&c, shim.Return(0))
				j.After(&c, shim.Return(0), nil)
			}
		})
	}
	group.Wait()
	j.Close()
	got := parse(t, end())
	for i, l := range got {
		if l.Seq != uint64(i+1) || int(l.Caller.Pid) != os.Getpid() {
			t.Fatalf("line %d: %+v", i+1, l)
		}
	}
	if len(got) != 200 {
		t.Errorf("%d lines", len(got))
	}
}

func TestJSONAllocatesNothing(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	must(t, err)
	w, err := NewWriter(null, 1<<20, 0)
	must(t, err)
	defer w.Close(patience)
	j := NewJSON(Config{Writer: w, Proc: openProc(t), Backend: "notify", Fresh: time.Hour})
	defer j.Close()
	e := examples()[0]
	e.call.Tid, e.call.Record.TargetPid = int32(os.Getpid()), int32(os.Getppid())
	if n := testing.AllocsPerRun(1000, func() {
		j.Before(&e.call, e.verdict)
		j.After(&e.call, e.verdict, nil)
	}); n > 0.1 { // now and then the queue grows
		t.Errorf("%v allocations a call", n)
	}
}

// FuzzString: whatever the name, the line stays one line of JSON that a terminal
// only prints, and says the name.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\"\\", "\x1b[31m", "\xff\xfe", "\u202eabc", "\U000e0001", "é", "\ufffd", "\x7f", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q gives %q: %v", s, got, err)
		}
		// Each byte that is no UTF-8 is one U+FFFD.
		want := string([]rune(s))
		if back != want {
			t.Errorf("%q gives %q, which says %q", s, got, back)
		}
		if !utf8.Valid(got) || bytes.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q gives %q, which is not printable", s, got)
		}
	})
}
