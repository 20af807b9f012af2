// Package suggest finds the known name that somebody meant when they wrote another.
// It never decides anything.
package suggest

import "strings"

// longest is past every name of ours. What is longer is no slip of the finger, and is
// not worth comparing letter by letter.
const longest = 64

// Name returns the name that takes the fewest edits to become word, or "" if that
// would be more than a slip of the finger.
func Name(word string, names []string) string {
	if len(word) > longest {
		return ""
	}
	best, name := len(word)/3+2, ""
	for _, n := range names {
		if strings.EqualFold(word, n) {
			return n
		}
		if d := edits(word, n); d < best {
			best, name = d, n
		}
	}
	return name
}

// edits is the number of letters to insert, drop or change between a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
