package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
)

// newDecodeCommand prints a siginfo_t that somebody captured, as the kernel would
// read it.
func newDecodeCommand() *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "decode [HEX]",
		Short: "Print 128 bytes of siginfo as fields",
		Long: `Print a siginfo_t as fields, as the kernel reads it from a caller of the ABI.
HEX may have spaces, colons, commas and 0x; without HEX it is read from stdin.
An ` + arch.Native.String() + ` record may end after its first 48 bytes, which are all that the kernel keeps.`,
		Example: "  pidfd-shim decode --abi " + abi.Names()[1] + " 0f000000 00000000 ffffffff ...\n" +
			"  head -c 128 siginfo.bin | xxd -p | pidfd-shim decode",
		RunE: func(cmd *cobra.Command, args []string) error {
			return decode(cmd, name, asJSON, args)
		},
	}
	cmd.Flags().StringVar(&name, "abi", arch.Native.String(), "the ABI whose siginfo_t it is: "+anABI())
	completeFlag(cmd, "abi", abi.Names())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, for programs")
	return cmd
}

func decode(cmd *cobra.Command, name string, asJSON bool, args []string) error {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		input, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxHexInput))
		if err != nil {
			return fmt.Errorf("decode: read stdin: %w", err)
		}
		text = string(input)
	}
	user, err := parseHex(text)
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	d, err := decodeSiginfo(name, user)
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(d)
	}
	return d.print(cmd.OutOrStdout())
}

// maxHexInput is far more than 128 bytes need in any spelling; what is beyond it
// is not siginfo.
const maxHexInput = 1 << 16

// decoded is what `decode` shows.
type decoded struct {
	ABI    string         `json:"abi"`
	Layout string         `json:"layout"`
	Fields []decodedField `json:"fields"`
	Note   string         `json:"note,omitempty"`
}

type decodedField struct {
	Name   string          `json:"name"`
	Value  json.RawMessage `json:"value"` // a number, or a string for 0x...
	Symbol string          `json:"symbol,omitempty"`
}

func decodeSiginfo(name string, user []byte) (*decoded, error) {
	if err := checkLength(name, len(user)); err != nil {
		return nil, err
	}
	var s arch.Siginfo
	var note string
	if is, _ := abi.Named(name); is == arch.Native {
		s = arch.NativeSiginfo(user)
		note = tailNote(&s, user[arch.RecordSize:])
	} else {
		s = abi.Of(is).DecodeSiginfo(user)
	}
	return &decoded{name, s.Layout().String(), fieldsOf(&s), note}, nil
}

// checkLength also rejects what is no ABI.
func checkLength(name string, n int) error {
	const whole = "give the whole siginfo_t, 128 bytes"
	switch is, known := abi.Named(name); {
	case !known:
		return fmt.Errorf("--abi %q is no ABI: give %s", name, anABI())
	case is == arch.Native && (n < arch.RecordSize || n > arch.SiginfoSize):
		return fmt.Errorf("%d bytes are no siginfo_t of %s: %s, or at least its first 48", n, name, whole)
	case is != arch.Native && n != arch.SiginfoSize:
		return fmt.Errorf("%d bytes are no siginfo_t of %s: %s", n, name, whole)
	}
	return nil
}

// anABI lists them as a sentence does.
func anABI() string {
	names := abi.Names()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// tailNote says what the kernel would say of the bytes behind the record.
func tailNote(s *arch.Siginfo, tail []byte) string {
	whole := make([]byte, arch.SiginfoSize-arch.RecordSize)
	copy(whole, tail)
	switch {
	case !s.TailOK(whole):
		return fmt.Sprintf("si_code %d is unknown and bytes 48 to 127 are not all zero: the kernel answers E2BIG", s.Code())
	case s.NeedsTail() && len(tail) < len(whole):
		return fmt.Sprintf("si_code %d is unknown: the kernel also wants bytes 48 to 127 to be zero", s.Code())
	}
	return ""
}

func fieldsOf(s *arch.Siginfo) []decodedField {
	var list []decodedField
	for _, f := range arch.Describe(s) {
		if f.Name == "si_errno" {
			f.Symbol = unix.ErrnoName(unix.Errno(s.Errno()))
		}
		value := f.Value
		if strings.HasPrefix(value, "0x") {
			value = `"` + value + `"`
		}
		list = append(list, decodedField{f.Name, json.RawMessage(value), f.Symbol})
	}
	return list
}

func (d *decoded) print(w io.Writer) error {
	var out strings.Builder
	line := func(name, value string) { fmt.Fprintf(&out, "%-13s  %s\n", name, value) }
	line("abi", d.ABI)
	line("layout", d.Layout)
	for _, f := range d.Fields {
		value := strings.Trim(string(f.Value), `"`)
		line(f.Name, strings.TrimSpace(value+" "+f.Symbol))
	}
	if d.Note != "" {
		line("note", d.Note)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// parseHex reads hex as dumps write it: digits in pairs, between them any space,
// colon or comma, and 0x before any group.
func parseHex(text string) ([]byte, error) {
	var all []byte
	groups := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f:,", r) })
	for _, group := range groups {
		digits := strings.TrimPrefix(strings.TrimPrefix(group, "0x"), "0X")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return nil, fmt.Errorf("%.40q, after %d bytes, is not hex: give two digits a byte, as in 0f000000", group, len(all))
		}
		all = append(all, b...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no bytes given: give hex as an argument or on stdin")
	}
	return all, nil
}
