package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// node is a value in a policy file. Only this file and tokens.go know the YAML library.
type node struct {
	at      position
	kind    kind
	text    string  // of a scalar, as written, without its quotes
	items   []*node // of a list
	entries []entry // of a map
}

type entry struct{ key, value *node }

type kind uint8

const (
	null    kind = iota
	text         // quoted, or a plain word that YAML takes for nothing else
	integer      // also in notations that a policy does not have
	otherScalar
	list
	mapping
)

// String implements fmt.Stringer.
func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "a YAML special", "a list", "a map"}[k]
}

// parseYAML reads one document of the part of YAML that a policy may use: no anchors,
// aliases, tags or merges, nothing deep.
func parseYAML(r *reporter, text []byte) (root *node) {
	if !checkText(r, text) || !checkSigns(r, text) {
		return nil
	}
	// The library counts a comment that ends in CR LF as two lines (goccy/go-yaml 1.19).
	tokens := lexer.Tokenize(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if !checkTokens(r, tokens) {
		return nil
	}
	// The library has panicked on hostile text before; for us it is bad text.
	defer func() {
		if recover() != nil {
			r.fail(position{1, 1}, "the file is no YAML that can be read")
			root = nil
		}
	}()
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		syntaxError(r, err)
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		r.fail(position{1, 1}, "the file is empty: a policy begins with \"version: 1\"")
		return nil
	}
	return convert(file.Docs[0].Body)
}

// checkText finds bytes that are no text, because the library replaces them.
func checkText(r *reporter, text []byte) bool {
	at := position{1, 1}
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		control := c < ' ' && c != '\t' && c != '\n' || c == 0x7f
		if c == '\r' && len(text) > 1 && text[1] == '\n' {
			control = false // on its own it ends a line for YAML, and for no editor
		}
		if c == utf8.RuneError && n == 1 || control || c == 0xfeff {
			r.fail(at, "byte %#02x is not text: a policy is UTF-8, without control characters and byte order mark", text[0])
			return false
		}
		at.column++
		if c == '\n' {
			at = position{at.line + 1, 1}
		}
		text = text[n:]
	}
	return true
}

func syntaxError(r *reporter, err error) {
	at, what := position{1, 1}, err.Error()
	var e yaml.Error
	if errors.As(err, &e) {
		what = e.GetMessage()
		if t := e.GetToken(); t != nil {
			at = placeOf(t)
		}
	}
	r.fail(at, "%s", notYAML(what))
}

// oneLine is what the library says, less the lines of the file that it shows: the first
// hundred characters, since it also quotes words of any length.
func oneLine(what string) string {
	what, _, _ = strings.Cut(what, "\n")
	return strings.ReplaceAll(fmt.Sprintf("%.100s", what), "\t", `\t`)
}

func placeOf(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{1, 1}
	}
	return position{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

func convert(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.MappingNode:
		return convertMap(n, n.Values...)
	case *ast.MappingValueNode:
		return convertMap(n, n)
	case *ast.SequenceNode:
		out := &node{at: placeOf(n.GetToken()), kind: list}
		for _, item := range n.Values {
			out.items = append(out.items, convert(item))
		}
		return out
	}
	if n == nil {
		return &node{at: position{1, 1}}
	}
	return convertScalar(n)
}

// convertMap places a map at its first key: the library places it at a colon.
func convertMap(n ast.Node, values ...*ast.MappingValueNode) *node {
	out := &node{at: placeOf(n.GetToken()), kind: mapping}
	for i, v := range values {
		e := entry{convertKey(v.Key), convert(v.Value)}
		if e.value.kind == null && e.value.text == "" {
			e.value.at = e.key.at // nothing is written where it would be
		}
		if i == 0 && n.GetToken().Type != token.MappingStartType {
			out.at = e.key.at
		}
		out.entries = append(out.entries, e)
	}
	return out
}

func convertKey(n ast.MapKeyNode) *node {
	if n == nil {
		return &node{at: position{1, 1}, kind: otherScalar}
	}
	return convertScalar(n)
}

func convertScalar(n ast.Node) *node {
	t := n.GetToken()
	out := &node{at: placeOf(t), kind: otherScalar, text: t.Value}
	switch n := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	case *ast.IntegerNode:
		out.kind = integer
	case *ast.NullNode:
		out.kind = null
		if t.Type == token.ImplicitNullType {
			out.text = ""
		}
	}
	return out
}
