package policy

// cube is a set of 32-bit words: those in which the bits of mask are those of value.
// It is the one comparison of a container runtime's profile that looks at the low half
// of an argument alone (SCMP_CMP_MASKED_EQ).
type cube struct{ mask, value uint32 }

// meet is what lies in both.
func (c cube) meet(o cube) (cube, bool) {
	if (c.value^o.value)&c.mask&o.mask != 0 {
		return cube{}, false
	}
	return cube{c.mask | o.mask, c.value | o.value}, true
}

// cubes splits a range into cubes, none of which overlap: the largest aligned blocks.
func (r Range) cubes() []cube {
	var list []cube
	for low := uint64(r.Low); low <= uint64(r.High); {
		size := uint64(1) << 32
		for low%size != 0 || low+size-1 > uint64(r.High) {
			size /= 2
		}
		list = append(list, cube{^uint32(size - 1), uint32(low)})
		low += size
	}
	return list
}

// split gives the words for which the condition, less its Not, holds, and the others.
//
// Precondition: the ranges are sorted and apart, and with a mask there is one value.
func (c Cond) split() (in, out []cube) {
	if c.Mask != 0 {
		value := c.In[0].Low
		in = []cube{{c.Mask, value}}
		var above uint32 // bits that are as they should be
		for bit := uint32(1) << 31; bit != 0; bit >>= 1 {
			if c.Mask&bit == 0 {
				continue
			}
			out = append(out, cube{above | bit, value&above | ^value&bit})
			above |= bit
		}
		return in, out
	}
	next := uint64(0)
	for _, r := range c.In {
		in = append(in, r.cubes()...)
		if next < uint64(r.Low) {
			out = append(out, Range{uint32(next), r.Low - 1}.cubes()...)
		}
		next = uint64(r.High) + 1
	}
	if next < 1<<32 {
		out = append(out, Range{uint32(next), 1<<32 - 1}.cubes()...)
	}
	return in, out
}

// box is a set of calls: for each argument a cube, and for pointers whether it is NULL.
type box struct {
	words    [6]cube
	pointers [6]pointer
}

type pointer uint8

const (
	anyPointer pointer = iota
	nullPointer
	givenPointer
)

// cut splits a box by a condition into boxes that do not overlap.
func (b box) cut(c Cond) (in, out []box) {
	if c.Null {
		in, out = b.cutPointer(c.Arg, nullPointer), b.cutPointer(c.Arg, givenPointer)
	} else {
		yes, no := c.split()
		in, out = b.cutWord(c.Arg, yes), b.cutWord(c.Arg, no)
	}
	if c.Not {
		return out, in
	}
	return in, out
}

func (b box) cutPointer(arg int, want pointer) []box {
	if b.pointers[arg] != anyPointer && b.pointers[arg] != want {
		return nil
	}
	b.pointers[arg] = want
	return []box{b}
}

func (b box) cutWord(arg int, cubes []cube) []box {
	var list []box
	for _, c := range cubes {
		both, ok := b.words[arg].meet(c)
		if ok {
			part := b
			part.words[arg] = both
			list = append(list, part)
		}
	}
	return list
}

// cutAll splits boxes by conditions that must all hold.
func cutAll(boxes []box, when []Cond) (in, out []box) {
	in = boxes
	for _, c := range when {
		var still []box
		for _, b := range in {
			yes, no := b.cut(c)
			still = append(still, yes...)
			out = append(out, no...)
		}
		in = still
	}
	return in, out
}
