package policy

import (
	"fmt"
	"math/bits"
	"strings"
)

// glob is a pattern for a name or a path. In a path * and ? and classes stay within
// one component, and only ** crosses a slash. It counts bytes, as the kernel does.
//
// It is run as the automaton that it is, one bit a state, so that no text makes it
// slow: the texts are a stranger's.
type glob struct {
	text  string // as written
	parts []part
}

// part matches one byte, or, as a star, any number of them.
type part struct {
	bytes [4]uint64 // the set of bytes it takes
	star  bool
}

// maxGlob is how many parts a pattern may have: PATH_MAX texts have to be literal.
const maxGlob = 64*globWords - 1

const globWords = 16

func (p *part) add(low, high byte) {
	for b := int(low); b <= int(high); b++ {
		p.bytes[b/64] |= 1 << (b % 64)
	}
}

func (p *part) remove(b byte) { p.bytes[b/64] &^= 1 << (b % 64) }

func (p *part) has(b byte) bool { return p.bytes[b/64]>>(b%64)&1 != 0 }

// parseGlob reads a pattern; inPath says that a slash is special.
func parseGlob(text string, inPath bool) (glob, error) {
	g := glob{text: text}
	for rest := text; rest != ""; {
		if len(g.parts) == maxGlob {
			return glob{}, fmt.Errorf("it has more than %d characters", maxGlob)
		}
		p, n, err := parsePart(rest, inPath)
		if err != nil {
			return glob{}, err
		}
		g.parts = append(g.parts, p)
		rest = rest[n:]
	}
	return g, nil
}

// parsePart reads the first part of text and says how long it is.
func parsePart(text string, inPath bool) (p part, n int, err error) {
	switch {
	case strings.HasPrefix(text, "**") && inPath:
		p.star = true
		p.add(0, 255)
		return p, 2, nil
	case text[0] == '*', text[0] == '?':
		p.star = text[0] == '*'
		p.add(0, 255)
		n = 1
	case text[0] == '[':
		if p, n, err = parseClass(text); err != nil {
			return p, n, err
		}
	case text[0] == '\\':
		if len(text) < 2 {
			return p, 0, fmt.Errorf(`\ stands at its end: \\ means the character`)
		}
		p.add(text[1], text[1])
		return p, 2, nil
	default:
		p.add(text[0], text[0])
		return p, 1, nil
	}
	if inPath {
		p.remove('/')
	}
	return p, n, nil
}

// parseClass reads [abc], [a-z] or [!a-z].
func parseClass(text string) (p part, n int, err error) {
	end := strings.IndexByte(text[1:], ']') + 1
	if end == 0 {
		return p, 0, fmt.Errorf("[ has no ]")
	}
	members, negated := strings.CutPrefix(text[1:end], "!")
	if members == "" {
		return p, 0, fmt.Errorf("%s is empty", text[:end+1])
	}
	for i := 0; i < len(members); i++ {
		low, high := members[i], members[i]
		if i+2 < len(members) && members[i+1] == '-' {
			high = members[i+2]
			i += 2
		}
		if high < low || high >= 0x80 {
			return p, 0, fmt.Errorf("%s has a range that is none", text[:end+1])
		}
		p.add(low, high)
	}
	if negated {
		for i := range p.bytes {
			p.bytes[i] = ^p.bytes[i]
		}
	}
	return p, end + 1, nil
}

// states is a set of places between parts.
type states [globWords]uint64

// enter adds a state, and those behind it that need no byte.
func (s *states) enter(g *glob, i int) {
	s[i/64] |= 1 << (i % 64)
	for i < len(g.parts) && g.parts[i].star {
		i++
		s[i/64] |= 1 << (i % 64)
	}
}

func (g *glob) match(text []byte) bool {
	var now states
	now.enter(g, 0)
	words := len(g.parts)/64 + 1
	for _, b := range text {
		var next states
		alive := false
		for w := range words {
			for set := now[w]; set != 0; set &= set - 1 {
				i := 64*w + bits.TrailingZeros64(set)
				if i == len(g.parts) || !g.parts[i].has(b) {
					continue
				}
				alive = true
				if g.parts[i].star {
					next.enter(g, i)
				} else {
					next.enter(g, i+1)
				}
			}
		}
		if !alive {
			return false
		}
		now = next
	}
	end := len(g.parts)
	return now[end/64]>>(end%64)&1 != 0
}
