package policy

import "errors"

// Call makes a query of words such as signal: SIGTERM, read as in a test of the file. A
// code and a value that are given are facts already known.
func (p *Policy) Call(words map[string]string) (*Query, error) {
	call := &node{kind: mapping}
	for _, key := range callKeys() {
		if word := words[key]; word != "" {
			call.entries = append(call.entries, entry{&node{kind: text, text: key}, &node{kind: text, text: word}})
		}
	}
	r := &reporter{}
	e := &example{}
	exampleDecoder{newDecoder(r), p}.call(e, call)
	if len(r.list) > 0 {
		return nil, errors.New(r.list[0].What)
	}
	e.query.Facts = e.facts
	e.query.Facts.Asked, e.query.Facts.Known = e.given, e.given
	return &e.query, nil
}
