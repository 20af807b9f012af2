package arch_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
)

// A side of testdata/oracle.c's requests.
const (
	none int32 = iota
	native
	compat
)

// Mirrors struct request and struct reply of testdata/oracle.c.
type (
	request struct {
		Send, Receive, Pid, Sig int32
		Info                    [arch.SiginfoSize]byte
	}
	reply struct {
		Pid, Sent, Received int32
		Info                [arch.SiginfoSize]byte
	}
)

// The running kernel has the last word: what an i386 call puts in and a 64-bit call
// takes out is what Decode says, and so on for the four pairs of ABIs.
func TestKernelConverts(t *testing.T) {
	pairs := []struct {
		name          string
		program       string
		send, receive int32
	}{
		{"amd64 to amd64", "-m64", native, native},
		{"int 0x80 to amd64", "-m64", compat, native},
		{"amd64 to int 0x80", "-m64", native, compat},
		{"int 0x80 to int 0x80", "-m64", compat, compat},
		{"i386 to i386", "-m32", compat, compat},
	}
	for _, pair := range pairs {
		t.Run(pair.name, func(t *testing.T) {
			o, lacking := startOracle(t, pair.program), codesLacking(t)
			forEachPair(func(sig, code int32) {
				if lacking[[2]int32{sig, code}] {
					return
				}
				for _, fill := range fills {
					info := fill(sig, code)
					if pair.send == native && !arch.KnownCode(sig, code) {
						clear(info[arch.RecordSize:])
					}
					got := o.ask(request{Send: pair.send, Receive: pair.receive, Sig: sig, Info: info})
					checkReply(t, got, sig, code, info, convert(pair.send, pair.receive, info))
				}
			})
		})
	}
}

// From another process only negative codes but SI_TKILL pass.
func TestKernelConvertsForAnother(t *testing.T) {
	sender, receiver := startOracle(t, "-m32"), startOracle(t, "-m64")
	target := receiver.ask(request{}).Pid
	forEachPair(func(sig, code int32) {
		if code >= 0 || code == arch.SI_TKILL {
			return
		}
		info := fills[0](sig, code)
		sent := sender.ask(request{Send: compat, Pid: target, Sig: sig, Info: info})
		got := receiver.ask(request{Receive: native, Sig: sig})
		got.Sent = sent.Sent
		checkReply(t, got, sig, code, info, convert(compat, native, info))
	})
}

// Check 8 of the call: bytes from 48 on are E2BIG where the code is unknown.
func TestKernelKnowsCodes(t *testing.T) {
	o := startOracle(t, "-m64")
	forEachPair(func(sig, code int32) {
		for _, at := range []int{47, 48, 127} {
			info := blank(sig, code)
			info[at] = 1
			s := arch.NativeSiginfo(info[:])
			want := int32(0)
			if !s.TailOK(info[arch.RecordSize:]) {
				want = -int32(unix.E2BIG)
			}
			got := o.ask(request{Send: native, Receive: native, Sig: sig, Info: info})
			if got.Sent == want {
				continue
			}
			if want == 0 && newerCodes[[2]int32{sig, code}] {
				t.Logf("this kernel does not have %s yet", arch.CodeName(sig, code))
				continue
			}
			t.Errorf("si_signo %d, si_code %d, byte %d set: kernel answers %d, we %d", sig, code, at, got.Sent, want)
		}
	})
}

// i386 callers are never told E2BIG.
func TestKernelTakesAnyCompatTail(t *testing.T) {
	o := startOracle(t, "-m64")
	info := blank(10, -1000)
	info[127] = 1
	if got := o.ask(request{Send: compat, Receive: native, Sig: 10, Info: info}); got.Sent != 0 {
		t.Errorf("kernel answers %d, want 0", got.Sent)
	}
}

// newerCodes came after 4.20; a kernel may lack them.
var newerCodes = map[[2]int32]bool{
	{int32(unix.SIGSEGV), 10}: true, // 6.6
	{int32(unix.SIGSEGV), 9}:  true, // 5.10
	{int32(unix.SIGSEGV), 8}:  true,
	{int32(unix.SIGTRAP), 6}:  true, // 5.13
	{int32(unix.SIGSYS), 2}:   true, // 5.11
}

// codesLacking asks the running kernel for those of newerCodes that it lacks.
func codesLacking(t *testing.T) map[[2]int32]bool {
	t.Helper()
	o := startOracle(t, "-m64")
	lacking := map[[2]int32]bool{}
	for pair := range newerCodes {
		info := blank(pair[0], pair[1])
		info[127] = 1
		got := o.ask(request{Send: native, Receive: native, Sig: pair[0], Info: info})
		lacking[pair] = got.Sent != 0
	}
	return lacking
}

// fills make records whose every byte can be told from its neighbours; in the
// second each 4-byte word is negative.
var fills = []func(sig, code int32) [arch.SiginfoSize]byte{
	func(sig, code int32) [arch.SiginfoSize]byte { return pattern(sig, code, 0x01) },
	func(sig, code int32) [arch.SiginfoSize]byte { return pattern(sig, code, 0x80) },
}

func blank(sig, code int32) (info [arch.SiginfoSize]byte) {
	s := arch.NewSiginfo(sig, 0, code)
	copy(info[:], s[:])
	return info
}

func pattern(sig, code int32, first byte) [arch.SiginfoSize]byte {
	info := blank(sig, code)
	for i := range info {
		if i < 4 || i >= 8 && i < 12 {
			continue
		}
		info[i] = first + byte(i)
	}
	return info
}

func convert(send, receive int32, info [arch.SiginfoSize]byte) [arch.SiginfoSize]byte {
	s := arch.NativeSiginfo(info[:])
	if send == compat {
		s = i386.DecodeSiginfo(info[:])
	}
	if receive == compat {
		return i386.EncodeSiginfo(&s)
	}
	return s.Native()
}

func checkReply(t *testing.T, got reply, sig, code int32, sent, want [arch.SiginfoSize]byte) {
	t.Helper()
	switch {
	case got.Sent != 0:
		t.Errorf("si_signo %d, si_code %d: kernel answers %d, want 0", sig, code, got.Sent)
	case got.Received != sig:
		t.Errorf("si_signo %d, si_code %d: received %d", sig, code, got.Received)
	case got.Info != want:
		t.Errorf("si_signo %d, si_code %d (%v)\n sent   %x\n kernel %x\n we     %x",
			sig, code, arch.LayoutOf(sig, code), sent, got.Info, want)
	}
}

// forEachPair goes through the signals that can be blocked, with all codes around
// those that mean something.
func forEachPair(visit func(sig, code int32)) {
	for sig := int32(1); sig <= arch.SIGRTMAX; sig++ {
		if sig == int32(unix.SIGKILL) || sig == int32(unix.SIGSTOP) {
			continue
		}
		for code := int32(-10); code <= 20; code++ {
			visit(sig, code)
		}
		for _, code := range []int32{-1 << 31, -1000, -61, -60, -59, 126, 127, 128, 129, 4096, 1<<31 - 1} {
			visit(sig, code)
		}
	}
}

type oracle struct {
	t     *testing.T
	stdin io.Writer
	out   io.Reader
}

// startOracle builds testdata/oracle.c for the width ("-m64", "-m32") and runs it
// until the test ends.
func startOracle(t *testing.T, width string) *oracle {
	t.Helper()
	if err := unix.PidfdSendSignal(-1, 0, nil, 0); err != unix.EBADF {
		t.Skipf("pidfd_send_signal(-1, 0, NULL, 0): %v", err)
	}
	program := filepath.Join(t.TempDir(), "oracle")
	build := exec.Command("gcc", width, "-O1", "-static", "-o", program, "testdata/oracle.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("%v: %v\n%s", build, err, out)
	}
	cmd := exec.Command(program)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("oracle: %v", err)
		}
	})
	return &oracle{t, stdin, stdout}
}

func (o *oracle) ask(q request) reply {
	o.t.Helper()
	var buf bytes.Buffer
	if err := binary.Write(&buf, binary.LittleEndian, q); err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.stdin.Write(buf.Bytes()); err != nil {
		o.t.Fatalf("ask the oracle: %v", err)
	}
	var r reply
	if err := binary.Read(o.out, binary.LittleEndian, &r); err != nil {
		o.t.Fatalf("the oracle's answer to signal %d: %v", q.Sig, err)
	}
	return r
}
