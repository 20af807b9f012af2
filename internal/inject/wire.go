package inject

import (
	"encoding/binary"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// An injection is two questions, one datagram each. To hold: {caller, target uint32}, answered by
// {tracer, pinned uint32}, where the tracer is a tid, or 0 if the caller is not held. To
// run, with the listener's descriptor: {ip, id, abi, nr, six arguments uint64}, answered by
// {0, ran uint32} and {known, value int32} of the result. Hanging up instead lets go.
const (
	holdSize   = 8
	runSize    = 80
	answerSize = 16
)

func encodeHold(caller, target int32) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, holdSize), uint32(caller))
	return le.AppendUint32(b, uint32(target))
}

func decodeHold(b []byte) (caller, target int32) {
	le := binary.LittleEndian
	return int32(le.Uint32(b)), int32(le.Uint32(b[4:]))
}

// order is what a held caller is to do.
type order struct {
	ip, id uint64
	abi    arch.ABI
	call   shim.Rewrite
}

func (o *order) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(make([]byte, 0, runSize), o.ip)
	b = le.AppendUint64(b, o.id)
	b = le.AppendUint64(b, uint64(o.abi))
	b = le.AppendUint64(b, o.call.Nr)
	for _, arg := range o.call.Args {
		b = le.AppendUint64(b, arg)
	}
	return b
}

func decodeOrder(b []byte) (o order) {
	le := binary.LittleEndian
	o.ip, o.id, o.abi = le.Uint64(b), le.Uint64(b[8:]), arch.ABI(le.Uint64(b[16:]))
	o.call.Nr = le.Uint64(b[24:])
	for i := range o.call.Args {
		o.call.Args[i] = le.Uint64(b[32+8*i:])
	}
	return o
}

// answer is to either question.
type answer struct {
	tracer int32 // who has the caller
	yes    bool  // the target is pinned; the call was run
	result shim.Result
}

func (a answer) encode() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, answerSize), uint32(a.tracer))
	b = le.AppendUint32(b, word(a.yes))
	b = le.AppendUint32(b, word(a.result.Known))
	return le.AppendUint32(b, uint32(a.result.Value))
}

func word(yes bool) uint32 {
	if yes {
		return 1
	}
	return 0
}

func decodeAnswer(b []byte) answer {
	le := binary.LittleEndian
	return answer{
		int32(le.Uint32(b)), le.Uint32(b[4:]) != 0,
		shim.Result{Known: le.Uint32(b[8:]) != 0, Value: int64(int32(le.Uint32(b[12:])))},
	}
}
