package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// A SIGTERM with SI_QUEUE, si_pid 4711, si_uid 1000 and sival_int -1.
var (
	queue64 = "0f000000" + "00000000" + "ffffffff" + "00000000" + "67120000" + "e8030000" + "ffffffff00000000" + strings.Repeat("00", 96)
	queue32 = "0f000000" + "00000000" + "ffffffff" + "67120000" + "e8030000" + "ffffffff" + strings.Repeat("00", 104)
)

// runDecode returns what the command prints and the error that it gives to its root.
func runDecode(stdin string, args ...string) (string, error) {
	var out strings.Builder
	cmd := newDecodeCommand()
	cmd.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.Execute()
	return out.String(), err
}

const queueFields = `layout         RT
si_signo       15 SIGTERM
si_errno       0
si_code        -1 SI_QUEUE
si_pid         4711
si_uid         1000
si_value       -1
`

func TestDecode(t *testing.T) {
	chld := "11000000" + "01000000" + "01000000" + "67120000" + "e8030000" + "02000000" +
		"0100000000000000" + "ffffffffffffffff" + strings.Repeat("00", 88)
	tests := []struct {
		name  string
		args  []string
		stdin string
		want  string
	}{
		{"amd64", []string{queue64}, "", "abi            amd64\n" + queueFields},
		{"its record alone", []string{queue64[:96]}, "", "abi            amd64\n" + queueFields},
		{"i386", []string{"--abi", "i386", queue32}, "", "abi            i386\n" + queueFields},
		{"x32", []string{"--abi=x32", queue32}, "", "abi            x32\n" + queueFields},
		{"stdin", nil, queue64[:100] + "\r\n" + queue64[100:] + "\n", "abi            amd64\n" + queueFields},
		{"words", []string{queue64[:8], "0x" + queue64[8:]}, "", "abi            amd64\n" + queueFields},
		{"spellings", []string{spell(queue64)}, "", "abi            amd64\n" + queueFields},
		{"times of x32", []string{"--abi=x32", chld}, "", `abi            x32
layout         CHLD
si_signo       17 SIGCHLD
si_errno       1 EPERM
si_code        1 CLD_EXITED
si_pid         4711
si_uid         1000
si_status      2
si_utime       1
si_stime       -1
`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := runDecode(test.stdin, test.args...)
			if err != nil || got != test.want {
				t.Errorf("decode %q: %v\n%s\nwant:\n%s", test.args, err, got, test.want)
			}
		})
	}
}

// spell writes the bytes with every separator there is.
func spell(digits string) string {
	var out strings.Builder
	separators := []string{" ", ":", ",", "\t", "\n", "\r\n", " 0x", ", 0X", ""}
	for i := 0; i < len(digits); i += 2 {
		out.WriteString(separators[i/2%len(separators)])
		out.WriteString(strings.ToUpper(digits[i : i+2]))
	}
	return out.String()
}

func TestDecodeNotes(t *testing.T) {
	unknown := "0f000000" + "00000000" + "18fcffff" + "00000000" + strings.Repeat("00", 32)
	tests := []struct{ name, input, want string }{
		{"known", queue64[:254] + "01", ""},
		{"unknown, short", unknown, "si_code -1000 is unknown: the kernel also wants bytes 48 to 127 to be zero"},
		{"unknown, zeros", unknown + strings.Repeat("00", 80), ""},
		{"unknown, last byte", unknown + strings.Repeat("00", 79) + "01", "si_code -1000 is unknown and bytes 48 to 127 are not all zero: the kernel answers E2BIG"},
		{"unknown, short and set", unknown + "01", "si_code -1000 is unknown and bytes 48 to 127 are not all zero: the kernel answers E2BIG"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := runDecode("", "--json", test.input)
			if err != nil {
				t.Fatal(err)
			}
			var d decoded
			if err := json.Unmarshal([]byte(got), &d); err != nil {
				t.Fatalf("%v in %s", err, got)
			}
			if d.Note != test.want {
				t.Errorf("note %q, want %q", d.Note, test.want)
			}
		})
	}
}

func TestDecodeJSON(t *testing.T) {
	segv := "0b000000" + "00000000" + "01000000" + "00000000" + "00f0ffffffffffff" + strings.Repeat("00", 104)
	got, err := runDecode("", "--json", segv)
	want := `{"abi":"amd64","layout":"FAULT","fields":[{"name":"si_signo","value":11,"symbol":"SIGSEGV"},` +
		`{"name":"si_errno","value":0},{"name":"si_code","value":1,"symbol":"SEGV_MAPERR"},` +
		`{"name":"si_addr","value":"0xfffffffffffff000"}]}` + "\n"
	if err != nil || got != want {
		t.Errorf("%v\n got  %s want %s", err, got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct {
		name  string
		args  []string
		stdin string
		want  string
	}{
		{"nothing", nil, " \n", "decode: no bytes given: give hex as an argument or on stdin"},
		{"not hex", []string{"0f00 zz"}, "", `decode: "zz", after 2 bytes, is not hex: give two digits a byte, as in 0f000000`},
		{"odd", []string{"0x0f0"}, "", `decode: "0x0f0", after 0 bytes, is not hex: give two digits a byte, as in 0f000000`},
		{"short", []string{queue64[:94]}, "", "decode: 47 bytes are no siginfo_t of amd64: give the whole siginfo_t, 128 bytes, or at least its first 48"},
		{"long", []string{queue64 + "00"}, "", "decode: 129 bytes are no siginfo_t of amd64: give the whole siginfo_t, 128 bytes, or at least its first 48"},
		{"short i386", []string{"--abi=i386", queue32[:254]}, "", "decode: 127 bytes are no siginfo_t of i386: give the whole siginfo_t, 128 bytes"},
		{"short x32", []string{"--abi=x32", queue32[:96]}, "", "decode: 48 bytes are no siginfo_t of x32: give the whole siginfo_t, 128 bytes"},
		{"abi", []string{"--abi=arm", queue32}, "", `decode: --abi "arm" is no ABI: give amd64, i386 or x32`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out, err := runDecode(test.stdin, test.args...)
			if err == nil || err.Error() != test.want || out != "" {
				t.Errorf("got  %v\nwant %s\nprinted %q", err, test.want, out)
			}
		})
	}
}

func TestDecodeCannotRead(t *testing.T) {
	cmd := newDecodeCommand()
	cmd.SetArgs([]string{})
	cmd.SetIn(iotest.ErrReader(errors.New("gone")))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.Execute(); err == nil || err.Error() != "decode: read stdin: gone" {
		t.Errorf("got %v", err)
	}
}

func FuzzParseHex(f *testing.F) {
	f.Add("0x0f,00:00 00\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseHex(text)
		if err == nil && (len(b) == 0 || len(b) > len(text)/2) {
			t.Errorf("%q is %d bytes", text, len(b))
		}
		for _, abi := range []string{"amd64", "i386", "x32"} {
			if d, err := decodeSiginfo(abi, b); err == nil {
				_ = d.print(&strings.Builder{})
			}
		}
	})
}
