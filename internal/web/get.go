package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Get asks for a page at a unix socket, and fails if the answer is not OK. It asks in
// HTTP/1.0, to which no server answers in chunks.
func Get(ctx context.Context, socket, path string, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: agent\r\n\r\n", path); err != nil {
		return nil, err
	}
	return readAnswer(bufio.NewReader(conn))
}

func readAnswer(from *bufio.Reader) ([]byte, error) {
	first, err := readLine(from)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	protocol, status, _ := strings.Cut(first, " ")
	if !strings.HasPrefix(protocol, "HTTP/1.") {
		return nil, fmt.Errorf("it answers %q, which is not HTTP", first)
	}
	length := int64(-1)
	for line := first; line != ""; {
		if line, err = readLine(from); err != nil {
			return nil, fmt.Errorf("read the answer's head: %w", err)
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Content-Length") {
			length, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	if !strings.HasPrefix(status, "200 ") {
		return nil, fmt.Errorf("it answers %s", status)
	}
	body, err := io.ReadAll(from)
	if err == nil && length >= 0 && int64(len(body)) != length {
		err = io.ErrUnexpectedEOF
	}
	return body, err
}
