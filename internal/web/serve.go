package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Answer is what a path has to say.
type Answer struct {
	Status string // of the status line: code and reason
	Type   string // of the body
	Body   []byte
}

// The statuses that are used.
const (
	OK          = "200 OK"
	Failed      = "500 Internal Server Error"
	Unavailable = "503 Service Unavailable"

	malformed = "400 Bad Request"
	notFound  = "404 Not Found"
	notGet    = "405 Method Not Allowed"
	tooLarge  = "431 Request Header Fields Too Large"
)

// Text is a plain answer.
func Text(status, text string) Answer {
	return Answer{Status: status, Type: "text/plain; charset=utf-8", Body: []byte(text + "\n")}
}

// JSON is value as an answer.
func JSON(value any) Answer {
	body, err := json.Marshal(value)
	if err != nil {
		return Text(Failed, err.Error())
	}
	return Answer{Status: OK, Type: "application/json", Body: append(body, '\n')}
}

// Pages are answers by path. Each is made when it is asked for, by the goroutine of a connection.
type Pages map[string]func() Answer

// What one who asks may take: nobody who does so slowly is waited for, and nobody waits for him.
const (
	patience  = 10 * time.Second
	headBytes = 8 << 10
	farewell  = 500 * time.Millisecond // for the peer to take the answer and close
)

// Serve answers requests until the listener is closed.
func (p Pages) Serve(l net.Listener, log *slog.Logger) error {
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			go p.serve(conn)
		case passes(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			log.Warn("accept a request", "error", err, "again_in", pause)
			time.Sleep(pause) //nolint:forbidigo // nothing tells of a free descriptor
		default:
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		}
	}
}

// passes reports whether accept4 may succeed another time (accept(2), ERRORS).
func passes(err error) bool {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (p Pages) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	method, answer := p.answer(io.LimitReader(conn, headBytes))
	head := fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n", answer.Status, answer.Type, len(answer.Body))
	if answer.Status == notGet {
		head += "Allow: GET, HEAD\r\n"
	}
	if method == "HEAD" {
		answer.Body = nil
	}
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := conn.Write(append([]byte(head+"\r\n"), answer.Body...)); err != nil {
		return
	}
	// Closed with something unread, TCP resets, and the peer loses what it has not read yet.
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = conn.SetDeadline(time.Now().Add(farewell))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, headBytes))
	}
}

// answer reads a request's head.
func (p Pages) answer(from io.Reader) (method string, a Answer) {
	lines := bufio.NewReader(from)
	request, err := readLine(lines)
	for line := request; err == nil && line != ""; {
		line, err = readLine(lines)
	}
	if err != nil {
		return "", refusal(err)
	}
	method, rest, _ := strings.Cut(request, " ")
	target, protocol, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(protocol, "HTTP/1.") {
		return method, Text(malformed, "HTTP/1 is spoken here")
	}
	if method != "GET" && method != "HEAD" {
		return method, Text(notGet, "only GET and HEAD")
	}
	path, _, _ := strings.Cut(target, "?")
	page, ok := p[path]
	if !ok {
		return method, Text(notFound, "no such page")
	}
	return method, page()
}

// readLine reads a line of a head, without its end.
func readLine(from *bufio.Reader) (string, error) {
	line, err := from.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// refusal is the answer to a head that did not come whole: at headBytes it is cut off.
func refusal(err error) Answer {
	if errors.Is(err, io.EOF) {
		return Text(tooLarge, "the head of a request is not whole, or too large")
	}
	return Text(malformed, "the head of a request did not come")
}
