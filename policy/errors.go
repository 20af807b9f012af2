package policy

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"
)

// position is a place in a policy file. Columns count characters from 1.
type position struct{ line, column int }

// Error is one thing wrong, or, as a warning, doubtful, in a policy file.
type Error struct {
	File         string
	Line, Column int
	What         string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.What)
}

// Errors are all that is wrong in a file, at least one, in the order of the file.
type Errors []*Error

// Error is one line: the first, and how many more there are.
func (list Errors) Error() string {
	if more := len(list) - 1; more > 0 {
		return fmt.Sprintf("%v (and %d more: see \"pidfd-shim policy check\")", list[0], more)
	}
	return list[0].Error()
}

// Unwrap gives each.
func (list Errors) Unwrap() []error {
	var all []error
	for _, e := range list {
		all = append(all, e)
	}
	return all
}

// reporter collects what is wrong with one file.
type reporter struct {
	file string
	list Errors
}

// maxErrors is how many errors are worth reading.
const maxErrors = 20

func (r *reporter) full() bool { return len(r.list) >= maxErrors }

func (r *reporter) fail(at position, format string, args ...any) {
	if !r.full() {
		r.list = append(r.list, &Error{r.file, at.line, at.column, fmt.Sprintf(format, args...)})
	}
}

// err is all of it, each at a place that the text has: the YAML library counts some
// columns of broken texts, those of escapes, beyond the end of the line.
func (r *reporter) err(text []byte) error {
	if len(r.list) == 0 {
		return nil
	}
	lines := bytes.Split(text, []byte("\n"))
	for _, e := range r.list {
		e.Line = min(e.Line, len(lines))
		e.Column = min(e.Column, utf8.RuneCount(lines[e.Line-1])+1)
	}
	slices.SortStableFunc(r.list, func(a, b *Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return r.list
}
