package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const deadline = 10 * time.Second

// serving has pages answered at a socket, whose path it returns.
func serving(t *testing.T, pages Pages) string {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- pages.Serve(l, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("serving ended with %v", err)
		}
	})
	return path
}

func somePages() Pages {
	return Pages{
		"/large": func() Answer { return Text(OK, strings.Repeat("x", 1<<20)) },
		"/json":  func() Answer { return JSON([]int{1, 2}) },
		"/sick":  func() Answer { return Text(Unavailable, "sick") },
	}
}

// TestAnswersOthersClient has net/http ask: a scraper is one.
func TestAnswersOthersClient(t *testing.T) {
	socket := serving(t, somePages())
	client := http.Client{Timeout: deadline, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	for _, tt := range []struct {
		method, path, body string
		status, bytes      int
	}{
		{"GET", "/json", "[1,2]\n", 200, 6},
		{"GET", "/json?format=text", "[1,2]\n", 200, 6},
		{"HEAD", "/json", "", 200, 0},
		{"GET", "/large", "", 200, 1<<20 + 1},
		{"GET", "/sick", "sick\n", 503, 5},
		{"GET", "/nothing", "no such page\n", 404, 13},
		{"POST", "/json", "only GET and HEAD\n", 405, 18},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tt.method, "http://agent"+tt.path, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != tt.status || len(body) != tt.bytes || tt.body != "" && string(body) != tt.body {
			t.Errorf("%s %s: %s, %d bytes, %.20q, %v", tt.method, tt.path, response.Status, len(body), body, err)
		}
	}
}

// TestGetAsksOthersServer: an agent of an earlier version answers by net/http.
func TestGetAsksOthersServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 10 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<10))
		}
	})
	server := &http.Server{Handler: mux, ReadTimeout: deadline}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	for _, socket := range []string{path, serving(t, Pages{"/large": func() Answer { return Answer{OK, "text/plain", bytes.Repeat([]byte("x"), 1<<20)} }})} {
		body, err := Get(t.Context(), socket, "/large", deadline)
		if err != nil || len(body) != 1<<20 || strings.Trim(string(body), "x") != "" {
			t.Errorf("%d bytes, %v", len(body), err)
		}
		if _, err := Get(t.Context(), socket, "/other", deadline); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a page that is not there: %v", err)
		}
	}
}

// TestGetSeesWhatIsMissing: an answer that is cut off is none.
func TestGetSeesWhatIsMissing(t *testing.T) {
	for _, answer := range []string{
		"", "SSH-2.0\r\n", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
	} {
		if body, err := readAnswer(bufio.NewReader(strings.NewReader(answer))); err == nil {
			t.Errorf("%q: %q and no error", answer, body)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	socket := serving(t, somePages())
	for request, want := range map[string]string{
		"\r\n":                       malformed,
		"GET /json\r\n\r\n":          malformed,
		"GET /json SPDY/9\r\n\r\n":   malformed,
		"GET /json HTTP/1.1\r\nHost": tooLarge,
		"GET /json HTTP/1.1\r\nX: " + strings.Repeat("x", 2*headBytes) + "\r\n\r\n": tooLarge,
		"GET /json HTTP/1.0\n\n": OK,
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(deadline))
		_, _ = io.WriteString(conn, request)
		_ = conn.(*net.UnixConn).CloseWrite()
		answer, _ := bufio.NewReader(conn).ReadString('\n')
		if answer != "HTTP/1.1 "+want+"\r\n" {
			t.Errorf("%.30q: answer %q, want %s", request, answer, want)
		}
		_ = conn.Close()
	}
}

// faulty is a listener that has no descriptors left, once.
type faulty struct {
	net.Listener
	once bool
}

func (f *faulty) Accept() (net.Conn, error) {
	if f.once {
		return nil, net.ErrClosed
	}
	f.once = true
	return nil, unix.EMFILE
}

func (f *faulty) Addr() net.Addr { return &net.UnixAddr{Name: "x", Net: "unix"} }

// TestServeOutlivesFullTable: who has no descriptors for a while serves again after it.
func TestServeOutlivesFullTable(t *testing.T) {
	var out bytes.Buffer
	err := Pages{}.Serve(&faulty{}, slog.New(slog.NewTextHandler(&out, nil)))
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "too many open files") {
		t.Errorf("%v, and the log has %q", err, out.String())
	}
}
