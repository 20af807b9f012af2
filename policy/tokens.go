package policy

import (
	"bytes"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Bounds of a policy file. The parser takes a time that grows with the square of what
// one map holds, and a stack that grows with the depth, so both are checked first.
const (
	maxTokens = 100_000 // words and signs
	maxDepth  = 16
	maxKeys   = 64 // of one map; no map of a policy has a fourth of it
)

// banned are the parts of YAML that a policy cannot have, and what to write instead.
func banned(t *token.Token) string {
	switch t.Type {
	case token.AnchorType:
		return "& begins an anchor: a policy has none; put a text that begins with it in quotes"
	case token.AliasType:
		return "* begins an alias: a policy has none; put a pattern that begins with it in quotes"
	case token.TagType:
		return "! begins a tag: a policy has none; put a text that begins with it in quotes"
	case token.MergeKeyType:
		return "<< merges maps: a policy has none of it; write the keys out"
	case token.MappingKeyType:
		return "? begins a key that is no word: a policy has none; put a text that begins with it in quotes"
	case token.DirectiveType:
		return "% begins a YAML directive: a policy has none"
	}
	return ""
}

// checkSigns counts what makes words and signs of a text, because to tell them apart
// already takes a second where there are a million.
func checkSigns(r *reporter, text []byte) bool {
	signs := 0
	for i, c := range text {
		if bytes.IndexByte([]byte("\n,:[]{}#-?&*!|>'\"%@`"), c) < 0 {
			continue
		}
		if signs++; signs > maxTokens {
			line := bytes.Count(text[:i], []byte("\n")) + 1
			r.fail(position{line, 1}, "a policy has at most %d signs: it ends before this line does", maxTokens)
			return false
		}
	}
	return true
}

// checkTokens refuses what is not for a policy before the parser sees it.
func checkTokens(r *reporter, tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		r.fail(placeOf(tokens[maxTokens]), "a policy has at most %d words and signs: it ends before this", maxTokens)
		return false
	}
	var s shape
	begun := false
	for i, t := range tokens {
		what := banned(t)
		switch {
		case t.Type == token.InvalidType:
			what = notYAML(t.Error)
		case t.Type == token.DocumentHeaderType && begun, t.Type == token.DocumentEndType && i+1 < len(tokens):
			what = "a second document begins here: a policy is one"
		}
		if t.Type != token.CommentType {
			begun = true
		}
		if what == "" {
			what = s.take(tokens, i)
		}
		if what != "" {
			r.fail(placeOf(t), "%s", what)
			return false
		}
	}
	return true
}

// shape follows how lists and maps lie in each other, well enough to bound them.
type shape struct {
	open []level
}

// level is a map or list not yet ended: flow style until its bracket closes, block
// style until something stands to the left of its column.
type level struct {
	flow   bool
	column int
	keys   int
}

func (s *shape) take(tokens token.Tokens, i int) string {
	t := tokens[i]
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		s.open = append(s.open, level{flow: true})
	case token.MappingEndType, token.SequenceEndType:
		if n := len(s.open); n > 0 && s.open[n-1].flow {
			s.open = s.open[:n-1]
		}
	case token.SequenceEntryType:
		s.at(t.Position.Column) // each dash of a line is a level of its own
	case token.MappingValueType:
		key := t
		if i > 0 {
			key = tokens[i-1]
		}
		l := s.at(key.Position.Column)
		if l.keys++; l.keys > maxKeys {
			return "one map has more keys than a policy has"
		}
	}
	if len(s.open) > maxDepth {
		return "lists and maps lie deeper in each other than in any policy"
	}
	return ""
}

// at is the level that something at a column belongs to.
func (s *shape) at(column int) *level {
	n := len(s.open)
	if n > 0 && s.open[n-1].flow {
		return &s.open[n-1]
	}
	for n > 0 && !s.open[n-1].flow && s.open[n-1].column > column {
		n--
	}
	s.open = s.open[:n]
	if n == 0 || s.open[n-1].flow || s.open[n-1].column < column {
		s.open = append(s.open, level{column: column})
	}
	return &s.open[len(s.open)-1]
}

// notYAML is what the parser says, in the words of who wrote the file where it is a tab: by
// far the most usual.
func notYAML(what string) string {
	if strings.Contains(what, `'\t'`) || strings.Contains(what, "'\t'") {
		return "not YAML: a tab stands where only spaces may: indent by spaces"
	}
	return "not YAML: " + oneLine(what)
}
