package audit

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

var update = flag.Bool("update", false, "write the golden files")

// patience bounds every wait for an event that has to come.
const patience = time.Minute

func TestMain(m *testing.M) {
	switch os.Getenv("AUDIT_TEST_ROLE") {
	case "wait":
		_, _ = os.Stdout.Write([]byte{'.'})
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "stderr":
		writeToBrokenStderr()
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collect makes a Writer and a function that ends it and returns what it wrote.
func collect(t *testing.T) (*Writer, func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	writer, err := NewWriter(w, 1<<20, 0)
	must(t, err)
	text := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		_ = r.Close()
		text <- string(all)
	}()
	return writer, func() string {
		t.Helper()
		must(t, writer.Close(patience))
		return <-text
	}
}

// golden compares with a file in testdata, or writes it under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		a, b := at(gotLines, i), at(wantLines, i)
		if a != b {
			t.Errorf("%s:%d\n got %s\nwant %s", file, i+1, a, b)
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "(no line)"
}

// example is a call as a handler leaves it.
type example struct {
	name     string
	call     shim.Call
	verdict  shim.Verdict
	answered error
	notes    notes
}

// poison fills the upper halves that the kernel ignores.
const poison = 0xdefaced000000000

func call424(fd, sig int32, info uint64, flags uint32) shim.Call {
	return shim.Call{
		Tid: 4711, Received: 1_000_000,
		Frame: arch.Frame{Arch: arch.AuditArchX86_64, Nr: 424, Raw: [6]uint64{
			poison | uint64(uint32(fd)), poison | uint64(uint32(sig)), info, poison | uint64(flags),
		}},
	}
}

func queued(sig int32, value uint64) arch.Siginfo {
	s := arch.NewSiginfo(sig, 0, arch.SI_QUEUE)
	s.SetSender(4711, 0)
	for i := range 8 {
		s[24+i] = byte(value >> (8 * i))
	}
	return s
}

func with(c shim.Call, change func(*shim.Call)) shim.Call {
	change(&c)
	return c
}

// examples are one of each kind: the golden files show how they look.
func examples() []example {
	term := int32(unix.SIGTERM)
	known := notes{
		hasCaller: true, caller: facts{tgid: 4710, uid: 1000, start: 5, pidns: 4026531836, comm: "sh", exe: "/bin/dash"},
		hasTarget: true, target: facts{tgid: 4712, uid: 0, start: 123456, pidns: 4026532000, comm: "cat", exe: "/bin/cat (deleted)"},
	}
	to := func(c *shim.Call) { c.Record.TargetPid = 4712 }
	forwarded := func(c *shim.Call) {
		to(c)
		c.Record.Path, c.Record.Sent, c.Record.Guard, c.Record.Rule = shim.PathForward, shim.SentPidfdSendSignal, shim.GuardPidfd, "default"
	}
	info := func(s arch.Siginfo) func(*shim.Call) {
		return func(c *shim.Call) {
			c.Record.Siginfo, c.Record.HasSiginfo = s, true
			c.Record.User, c.Record.HasUser = s, true
		}
	}
	hostile := known
	hostile.caller.comm = "x\"}\n{\"seq\":1"
	hostile.target.comm = "\x1b[2J\xff\u202e\u0085\\"
	return []example{
		{"queued by emulation", with(with(call424(3, term, 0x7ffe0000, 0), info(queued(term, 7))), func(c *shim.Call) {
			to(c)
			c.Record.Path, c.Record.Sent, c.Record.Guard, c.Record.Rule = shim.PathEmulate, shim.SentRtSigqueueinfo, shim.GuardSeize, "default"
		}), shim.Return(0), nil, known},
		{"NULL info", with(call424(3, term, 0, 0), forwarded), shim.Return(0), nil, known},
		{"pass", with(call424(3, 0, 0, 0), func(c *shim.Call) { to(c); c.Record.Path = shim.PathContinue }), shim.Pass(), nil, known},
		{"run", with(call424(3, term, 0, 0), func(c *shim.Call) {
			to(c)
			c.Record.Path, c.Record.Sent, c.Record.Guard = shim.PathCaller, shim.SentKill, shim.GuardTracee
		}), shim.Run(shim.Rewrite{}), nil, known},
		{"run, seen", with(call424(3, term, 0, 0), func(c *shim.Call) {
			to(c)
			c.Record.Path, c.Record.Sent, c.Record.Guard, c.Record.Result = shim.PathCaller, shim.SentKill, shim.GuardTracee, shim.ResultOf(^uint64(10))
		}), shim.Run(shim.Rewrite{}), nil, known},
		{"denied", with(call424(3, int32(unix.SIGKILL), 0, 0), func(c *shim.Call) {
			to(c)
			c.Record.Denied, c.Record.Rule = true, "only-own-workers"
			c.Record.Why = "not by mine: signals is SIGKILL, wanted SIGTERM"
		}), shim.Fail(unix.EACCES), nil, known},
		{"no descriptor", call424(-1, term, 0, 0), shim.Fail(unix.EBADF), nil, notes{hasCaller: true, caller: known.caller}},
		{"not permitted", with(call424(3, term, 0, 0), forwarded), shim.Fail(unix.EPERM), nil, known},
		{"info not read", call424(3, term, 0xdead0000beef, 8), shim.Fail(unix.EINVAL), nil, notes{}},
		{"one thread, real-time", with(call424(3, 37, 0, 1), forwarded), shim.Return(0), nil, known},
		{"all flags and one more", call424(3, term, 0, 0x17), shim.Fail(unix.EINVAL), nil, notes{}},
		{"no such signal", call424(3, 99, 0, 0), shim.Fail(unix.EINVAL), nil, notes{}},
		{"self thread", with(call424(-10000, term, 0, 0), forwarded), shim.Return(0), nil, known},
		{"self group", with(call424(-10001, term, 0, 0), forwarded), shim.Return(0), nil, known},
		{"process group", with(call424(3, term, 0, 4), func(c *shim.Call) { forwarded(c); c.Record.Members = 3 }), shim.Return(0), nil, known},
		{"pointer as value", with(with(call424(3, 34, 0x1000, 0), info(queued(34, 0x7fff12345678))), forwarded), shim.Return(0), nil, known},
		{"negative value", with(with(call424(3, 34, 0x1000, 0), info(queued(34, 0xffffffff))), forwarded), shim.Return(0), nil, known},
		{"timer", with(with(call424(3, 34, 0x1000, 0), info(arch.NewSiginfo(34, 0, arch.SI_TIMER))), forwarded), shim.Return(0), nil, known},
		{"i386", with(with(call424(3, term, 0x12345678, 0), forwarded), func(c *shim.Call) {
			c.Frame.Arch = arch.AuditArchI386
			c.Frame.Raw[2] |= 0x7fff00000000
			c.Record.Siginfo, c.Record.HasSiginfo = queued(term, 1), true
			c.Record.User, c.Record.HasUser = [arch.RecordSize]byte{0: byte(term), 8: 0xff, 0xff, 0xff, 0xff, 0x67, 0x12, 20: 1}, true
		}), shim.Return(0), nil, known},
		{"x32", with(with(call424(3, term, 0, 0), forwarded), func(c *shim.Call) { c.Frame.Nr |= arch.X32SyscallBit }), shim.Return(0), nil, known},
		{"restart", with(with(call424(3, term, 0, 0), forwarded), func(c *shim.Call) { c.Record.Duplicate = true }), shim.Return(0), nil, known},
		{"caller gone", with(call424(3, term, 0, 0), forwarded), shim.Return(0), shim.ErrGone, known},
		{"target gone", with(call424(3, term, 0, 0), to), shim.Fail(unix.ESRCH), nil, notes{hasCaller: true, caller: known.caller}},
		{"not served", call424(3, term, 0, 0), shim.Fail(unix.ENOSYS), nil, notes{}},
		{"hostile names", with(call424(3, term, 0, 0), func(c *shim.Call) { forwarded(c); c.Record.Denied, c.Record.Rule = true, "a\nb" }), shim.Return(0), nil, hostile},
		{"another call", with(call424(4712, term, 0, 0), func(c *shim.Call) { c.Frame.Nr = 62 }), shim.Fail(unix.ESRCH), nil, notes{}},
		{"tgkill", with(call424(4711, 4712, uint64(term), 0), func(c *shim.Call) { c.Frame.Nr = 234 }), shim.Return(0), nil, notes{}},
		{"unknown call", with(call424(1, 2, 3, 4), func(c *shim.Call) { c.Frame.Nr = 9999 }), shim.Fail(unix.ENOSYS), nil, notes{}},
	}
}
