package arch

import "strconv"

// Field is one member of a record, to be read by people.
type Field struct {
	Name   string // as sigaction(2) spells it
	Value  string // decimal, or 0x... for addresses and the like
	Symbol string // the value's name, "" if it has none
}

// Describe lists the members that the record's layout has, in the order of the
// structure. Bytes of the record that belong to no member are left out.
func Describe(s *Siginfo) []Field {
	list := []Field{
		{"si_signo", strconv.Itoa(int(s.Signo())), knownSignalName(s.Signo())},
		{"si_errno", strconv.Itoa(int(s.Errno())), ""},
		{"si_code", strconv.Itoa(int(s.Code())), knownCodeName(s.Signo(), s.Code())},
	}
	for _, m := range s.members() {
		list = append(list, Field{Name: m.name, Value: string(m.appendText(nil, s))})
	}
	return list
}

// appendText writes the member's value. A sigval is an int where its upper half is
// zero, as senders fill it, else all of its bits.
func (m *member) appendText(dst []byte, s *Siginfo) []byte {
	bits := m.load(s)
	switch m.kind {
	case kindInt, kindShort, kindLong:
		return strconv.AppendInt(dst, int64(bits), 10)
	case kindUint:
		return strconv.AppendUint(dst, bits, 10)
	case kindValue:
		if bits>>32 == 0 {
			return strconv.AppendInt(dst, int64(int32(bits)), 10)
		}
	}
	return strconv.AppendUint(append(dst, "0x"...), bits, 16)
}
