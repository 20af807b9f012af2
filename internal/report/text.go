package report

import (
	"strconv"
	"strings"
	"unicode"
)

// The longest texts that are kept, in characters. A comm has 15, a path that matters
// to a reader seldom more than this.
const (
	maxName = 64
	maxPath = 200
)

// clean shortens a text and writes out what is not printable: a browser obeys
// direction characters, by which one name could look like another.
func clean(text *string, limit int) {
	if text == nil {
		return
	}
	var out strings.Builder
	n := 0
	for _, r := range *text {
		if n++; n > limit {
			out.WriteRune('…')
			break
		}
		if unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	*text = out.String() // a copy: the line itself is not kept alive by it
}

// short is a text for a place that has room for limit characters. It keeps the end,
// where the pid is.
func short(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	head := limit / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(limit-head-1):])
}
