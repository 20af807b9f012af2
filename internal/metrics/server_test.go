package metrics

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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

func (f *faulty) Close() error { return nil }

// What net/http has to say comes to the log, too, and not to a program's stderr.
func TestServeLogs(t *testing.T) {
	var out bytes.Buffer
	err := Serve(&faulty{}, http.NotFoundHandler(), slog.New(slog.NewTextHandler(&out, nil)))
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "too many open files") {
		t.Errorf("%v, and the log has %q", err, out.String())
	}
}
