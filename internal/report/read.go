package report

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Report is what is kept of an audit.
type Report struct {
	Name    string // of the file, for the page
	Calls   int
	First   time.Time
	Last    time.Time
	Missing uint64 // lines that their numbers tell of, but the file does not have
	Bad     int    // lines that could not be read
	BadList []BadLine
	Only    []string // what is asked of calls: see Filter

	Denials denials
	pairs   pairs
	buckets buckets
	totals  totals
	filter  Filter
	good    int // lines, of whatever calls
}

// BadLine is a line that could not be read.
type BadLine struct {
	Number int
	Err    error
}

const (
	maxLine    = 1 << 20 // bytes; a true line has less than 10000
	maxBadList = 20
)

// Filter is what calls must have to count; "" is anything. A container's is the beginning.
type Filter struct{ Container, Verdict, Rule string }

func (f Filter) takes(l *line) bool {
	return strings.HasPrefix(l.Container, f.Container) && (f.Verdict == "" || f.Verdict == l.Verdict) && (f.Rule == "" || f.Rule == or(l.Rule, ""))
}

func (f Filter) words() (words []string) {
	for _, w := range [][2]string{{"container", f.Container}, {"verdict", f.Verdict}, {"rule", f.Rule}} {
		if w[1] != "" {
			clean(&w[1], maxName)
			words = append(words, w[0]+" "+w[1])
		}
	}
	return words
}

// Read sums up the calls of an audit that the filter takes. A line that it cannot read is
// counted, never an error: a program that is killed leaves half a line. Only if every line is
// bad is the file something else, and an error.
func (f Filter) Read(name string, in io.Reader) (*Report, error) {
	r := &Report{Name: name, Only: f.words(), filter: f}
	clean(&r.Name, maxPath)
	lines := bufio.NewReaderSize(in, 1<<16)
	var buffer []byte
	var seq uint64
	for number := 1; ; number++ {
		text, whole, err := nextLine(lines, buffer[:0])
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		atEnd := err != nil
		if atEnd && len(text) == 0 {
			break
		}
		buffer = text
		r.line(number, text, whole, &seq)
		if atEnd {
			break
		}
	}
	if r.good == 0 && r.Bad > 0 {
		first := r.BadList[0]
		return nil, fmt.Errorf("%s:%d: %w; no other line is readable either: is it an audit?", r.Name, first.Number, first.Err)
	}
	return r, nil
}

func (r *Report) line(number int, text []byte, whole bool, seq *uint64) {
	l, err := parseLine(text)
	if !whole {
		err = fmt.Errorf("it has more than %d bytes", maxLine)
	}
	if err != nil {
		if r.Bad++; len(r.BadList) < maxBadList {
			r.BadList = append(r.BadList, BadLine{number, err})
		}
		if *seq > 0 {
			*seq++ // it was one, and is not missing
		}
		return
	}
	if *seq > 0 && l.Seq > *seq+1 {
		r.Missing += l.Seq - *seq - 1
	}
	*seq = l.Seq // a lower one is another run, appended
	r.good++
	if r.filter.takes(l) {
		r.add(l)
	}
}

func (r *Report) add(l *line) {
	r.Calls++
	if r.Calls == 1 || l.at.Before(r.First) {
		r.First = l.at
	}
	if r.Calls == 1 || l.at.After(r.Last) {
		r.Last = l.at
	}
	r.Denials.add(l)
	r.pairs.add(l)
	r.buckets.add(l.at, l.Verdict)
	r.totals.add(l)
}

// nextLine appends a line to into, without its end. What is beyond maxLine is read
// and thrown away, and whole is false. With io.EOF comes a last line that has no end.
func nextLine(in *bufio.Reader, into []byte) (text []byte, whole bool, err error) {
	whole = true
	for {
		part, err := in.ReadSlice('\n')
		if len(into)+len(part) > maxLine {
			part, whole = part[:maxLine-len(into)], false
		}
		into = append(into, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(into, []byte("\n")), whole, err
		}
	}
}
