package proc

import "bytes"

// nextLine cuts the first line off text.
func nextLine(text []byte) (line, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}

// nextField cuts the first word off line. Words are apart by blanks and tabs.
func nextField(line []byte) (field, rest []byte) {
	start := 0
	for start < len(line) && (line[start] == ' ' || line[start] == '\t') {
		start++
	}
	end := start
	for end < len(line) && line[end] != ' ' && line[end] != '\t' {
		end++
	}
	return line[start:end], line[end:]
}

// number reads a whole word as a number in base, and false if it is none or has
// more than 64 bits.
func number(word []byte, base uint64) (uint64, bool) {
	if len(word) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range word {
		digit := uint64(c - '0')
		if c >= 'a' && c <= 'f' {
			digit = uint64(c-'a') + 10
		}
		if digit >= base || n > (1<<64-1-digit)/base {
			return 0, false
		}
		n = n*base + digit
	}
	return n, true
}

// pidNumber reads a pid as procfs writes it, -1 among them.
func pidNumber(word []byte) (int32, bool) {
	negative := len(word) > 1 && word[0] == '-'
	if negative {
		word = word[1:]
	}
	n, ok := number(word, 10)
	if !ok || n > 1<<31-1 {
		return 0, false
	}
	if negative {
		return -int32(n), true
	}
	return int32(n), true
}

// pids reads the numbers of line into list and returns how many there were.
func pids(line []byte, list *[32]int32) int {
	for count := 0; ; count++ {
		var word []byte
		word, line = nextField(line)
		n, ok := pidNumber(word)
		if !ok || count == len(list) {
			return count
		}
		list[count] = n
	}
}
