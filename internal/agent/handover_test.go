package agent

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	asRunc = `{"ociVersion":"1.0.2-dev","fds":["seccompFd"],"pid":4711,"metadata":"policy=web","state":{"ociVersion":"1.0.2-dev","id":"c1","status":"creating","pid":4711,"bundle":"/b"}}`
	asCrun = "{\n    \"ociVersion\": \"1.0\",\n    \"fds\": [\n        \"seccompFd\"\n    ],\n    \"pid\": 0,\n    \"metadata\": \"policy=web\",\n    \"state\": {\n        \"ociVersion\": \"1.0\",\n        \"id\": \"c1\",\n        \"status\": \"running\",\n        \"pid\": 0,\n        \"bundle\": \".\"\n    }\n}\n"
)

// packet is one sendmsg of a peer.
type packet struct {
	text string
	fds  int // how many descriptors come with it: pipes' ends
}

func fdsNamed(names string) string { return strings.Replace(asRunc, `["seccompFd"]`, names, 1) }

// handovers are what peers send, in order, before they hang up; want is part of the
// reason of refusal, "" for a good one.
var handovers = []struct {
	name     string
	messages []packet
	want     string
}{
	{"runc", []packet{{asRunc, 1}}, ""},
	{"crun", []packet{{asCrun, 1}}, ""},
	{"in two pieces", []packet{{asRunc[:40], 1}, {asRunc[40:], 0}}, ""},
	{"descriptor with the last piece", []packet{{asRunc[:40], 0}, {asRunc[40:], 1}}, ""},
	{"others beside it", []packet{{fdsNamed(`["a","seccompFd","b"]`), 3}}, ""},
	{"more descriptors than names", []packet{{asRunc, 16}}, ""},
	{"unknown keys", []packet{{`{"new":[{}],` + asRunc[1:], 1}}, ""},
	{"leading space", []packet{{"\n  " + asRunc, 1}}, ""},
	{"nothing", nil, errNothing.Error()},
	{"space alone", []packet{{"  \n", 0}}, "closed after"},
	{"half", []packet{{asRunc[:100], 1}}, "closed after 100 bytes"},
	{"no descriptor", []packet{{asRunc, 0}}, "descriptor 1 of 0"},
	{"no fds", []packet{{fdsNamed(`[]`), 1}}, "no descriptor is named"},
	{"fds null", []packet{{fdsNamed(`null`), 1}}, "no descriptor is named"},
	{"fds of another type", []packet{{fdsNamed(`"seccompFd"`), 1}}, "read the state"},
	{"fds of numbers", []packet{{fdsNamed(`[1]`), 1}}, "read the state"},
	{"another name", []packet{{fdsNamed(`["seccompfd"]`), 1}}, "no descriptor is named"},
	{"twice", []packet{{fdsNamed(`["seccompFd","seccompFd"]`), 2}}, "named twice"},
	{"third of two", []packet{{fdsNamed(`["a","b","seccompFd"]`), 2}}, "descriptor 3 of 2"},
	{"not JSON", []packet{{"GET / HTTP/1.1\r\n\r\n", 1}}, "not a JSON object"},
	{"an array", []packet{{"[" + asRunc + "]", 1}}, "not a JSON object"},
	{"zero bytes", []packet{{"\x00\x00\x00\x00", 1}}, "not a JSON object"},
	{"broken inside", []packet{{strings.Replace(asRunc, `"fds"`, `fds`, 1), 1}}, "read the state"},
	{"two states", []packet{{asRunc + asRunc, 1}}, "something follows"},
	{"brace too many", []packet{{asRunc + "}", 1}}, "something follows"},
	{"no state", []packet{{`{"fds":["seccompFd"]}`, 1}}, "id has 0 bytes"},
	{"empty object", []packet{{`{}`, 1}}, "id has 0 bytes"},
	{"no id", []packet{{strings.Replace(asRunc, `"id":"c1",`, ``, 1), 1}}, "id has 0 bytes"},
	{"huge id", []packet{{strings.Replace(asRunc, `"c1"`, `"`+strings.Repeat("x", 300)+`"`, 1), 1}}, "id has 300 bytes"},
	{"id with a newline", []packet{{strings.Replace(asRunc, `"c1"`, `"a\nb"`, 1), 1}}, "not printable"},
	{"id with an escape", []packet{{strings.Replace(asRunc, `"c1"`, `"a\u001b[2Jb"`, 1), 1}}, "not printable"},
	{"id with a bad byte", []packet{{strings.Replace(asRunc, `"c1"`, "\"a\xffb\"", 1), 1}}, "not printable"},
	{"pid of another type", []packet{{strings.Replace(asRunc, `4711`, `"x"`, 1), 1}}, "read the state"},
	{"pid too big", []packet{{strings.Replace(asRunc, `4711`, `1e99`, 1), 1}}, "read the state"},
	{"huge", []packet{{`{"metadata":"` + strings.Repeat("x", 70<<10), 1}}, "more than 65536 bytes"},
	{"deep", []packet{{`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}", 1}}, "read the state"},
	{"too many descriptors", []packet{{asRunc, 17}}, "more than 16 descriptors"},
	{"too many in pieces", []packet{{asRunc[:10], 10}, {asRunc[10:], 10}}, "more than 16 descriptors"},
	{"descriptors and no more", []packet{{"{", 5}}, "closed after 1 bytes"},
}

func TestReceive(t *testing.T) {
	for _, row := range handovers {
		t.Run(row.name, func(t *testing.T) {
			before := openDescriptors(t)
			theirs, ours := socketPair(t)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				defer theirs.Close()
				for _, m := range row.messages {
					sendPacket(theirs, m)
				}
			}()
			_ = ours.SetDeadline(time.Now().Add(20 * time.Second))
			h, err := receive(ours)
			_ = ours.Close()
			<-sent
			switch {
			case row.want == "" && err != nil:
				t.Error(err)
			case row.want == "":
				if h.state.State.ID != "c1" || h.state.Metadata != "policy=web" || h.listener == nil {
					t.Errorf("received %+v", h)
				}
				_ = h.listener.Close()
			case err == nil || !strings.Contains(err.Error(), row.want):
				t.Errorf("error %v, want one with %q", err, row.want)
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors, before %d", after, before)
			}
		})
	}
}

// The connection stays open, as runtimes leave it: the state is taken all the same.
func TestReceiveDoesNotWaitForTheEnd(t *testing.T) {
	theirs, ours := socketPair(t)
	defer theirs.Close()
	defer ours.Close()
	sendPacket(theirs, packet{asRunc, 1})
	_ = ours.SetDeadline(time.Now().Add(20 * time.Second))
	h, err := receive(ours)
	if err != nil {
		t.Fatal(err)
	}
	_ = h.listener.Close()
}

func TestReceiveKeepsItsDeadline(t *testing.T) {
	theirs, ours := socketPair(t)
	defer theirs.Close()
	defer ours.Close()
	_ = ours.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := receive(ours); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent peer: %v, want the deadline", err)
	}
}

func socketPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*net.UnixConn{}
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func sendPacket(conn *net.UnixConn, m packet) {
	var rights []byte
	if m.fds > 0 {
		null, err := os.Open(os.DevNull)
		if err != nil {
			panic(err)
		}
		defer null.Close()
		fds := make([]int, m.fds)
		for i := range fds {
			fds[i] = int(null.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	for text := []byte(m.text); len(text) > 0; {
		n, _, err := conn.WriteMsgUnix(text, rights, nil)
		if err != nil {
			return
		}
		text, rights = text[n:], nil
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
