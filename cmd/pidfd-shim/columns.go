package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// width is what doctor's lines keep to.
const width = 80

// columns is a table whose last column goes on below itself where a line ends.
type columns struct {
	rows   [][]string // the first is the heading
	colour bool
}

func (c *columns) add(cells ...string) { c.rows = append(c.rows, cells) }

func (c *columns) write(w io.Writer) {
	last := len(c.rows[0]) - 1
	widths := make([]int, last)
	for _, row := range c.rows {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for n, row := range c.rows {
		var line strings.Builder
		indent := 0
		for i, size := range widths {
			cell := row[i]
			padding := strings.Repeat(" ", size-utf8.RuneCountInString(cell)+2)
			if c.colour && n > 0 {
				cell = painted(cell)
			}
			line.WriteString(cell + padding)
			indent += size + 2
		}
		fmt.Fprintln(w, line.String()+wrap(row[last], width-indent, strings.Repeat(" ", indent)))
	}
}

// wrap breaks a text between words so that each line has at most size characters, if its
// words let it.
func wrap(text string, size int, indent string) string {
	var out strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > size:
			out.WriteString("\n" + indent)
			used = 0
		default:
			out.WriteByte(' ')
			used++
		}
		out.WriteString(word)
		used += n
	}
	return out.String()
}

// painted is a word of doctor's in its colour.
func painted(word string) string {
	colour := map[string]string{"present": "32", "absent": "33", "not here": "33", "unknown": "31"}[word]
	if colour == "" {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// wantsColour tells of a terminal whose user has not said no (https://no-color.org).
func wantsColour(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
