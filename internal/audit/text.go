package audit

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// appendString writes s as a JSON string. What is not printable is escaped, also
// where JSON would not ask for it: names are chosen by the programs that are watched,
// and lines are read on terminals, which obey control and direction characters. A
// byte that is no UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		if n := plain(s[i:]); n > 0 {
			dst = append(dst, s[i:i+n]...)
			i += n
			continue
		}
		if c := s[i]; c == '"' || c == '\\' {
			dst = append(dst, '\\', c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		dst = appendRune(dst, r)
		i += size
	}
	return append(dst, '"')
}

// plain is how long s goes on with what stands for itself.
func plain(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

func appendRune(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, `\n`...)
	case r == '\t':
		return append(dst, `\t`...)
	case r == utf8.RuneError:
		return append(dst, `\ufffd`...)
	case unicode.IsPrint(r):
		return utf8.AppendRune(dst, r)
	case r > 0xffff: // as two surrogates
		r -= 0x10000
		return appendUnit(appendUnit(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return appendUnit(dst, r)
}

func appendUnit(dst []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}

// The append functions of an object's members. A key is written as it stands in the
// line: with its quotes, the colon, and the comma before it if it is not the first.

func appendInt(dst []byte, key string, n int64) []byte {
	return strconv.AppendInt(append(dst, key...), n, 10)
}

func appendUint(dst []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(dst, key...), n, 10)
}

// appendText is for what may need to be escaped, appendWord for words of ours.
func appendText(dst []byte, key, text string) []byte {
	return appendString(append(dst, key...), text)
}

func appendWord(dst []byte, key, word string) []byte {
	dst = append(append(dst, key...), '"')
	return append(append(dst, word...), '"')
}

func appendNull(dst []byte, key string) []byte {
	return append(append(dst, key...), "null"...)
}

func appendBool(dst []byte, key string, b bool) []byte {
	return strconv.AppendBool(append(dst, key...), b)
}
