package report

import (
	"bufio"
	"fmt"
	"html"
	"io"
)

// markup writes HTML of which only the formats are markup: whatever is put into one is text,
// between tags and between double quotes. A package of templates would do that by context,
// but it looks methods up by their names, for which the linker keeps every method of every
// type in the program: 3 MB, which each of its processes would carry.
type markup struct{ out *bufio.Writer }

func newMarkup(out io.Writer) markup { return markup{bufio.NewWriter(out)} }

// put writes a format. Its arguments are numbers, or texts.
func (m markup) put(format string, args ...any) {
	for i, arg := range args {
		switch arg.(type) {
		case int, uint64, float64:
		default:
			args[i] = html.EscapeString(fmt.Sprint(arg))
		}
	}
	_, _ = fmt.Fprintf(m.out, format, args...) // Flush has the first error
}

// each is put for every element of a list, with what the element says of itself.
func each[T any](m markup, list []T, format string, args func(*T) []any) {
	for i := range list {
		m.put(format, args(&list[i])...)
	}
}
