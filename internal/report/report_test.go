package report

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/sample.html anew; then look at it in a browser")

func TestPageIsAsReviewed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "sample.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	r := read(t, string(text))
	got := pageOf(t, r)
	golden := filepath.Join("testdata", "sample.html")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the page is another one than %s; -update writes it anew:\n%s", golden, diff)
	}
	if r.Calls != 4 || r.Bad != 1 || r.BadList[0].Number != 4 || r.Missing != 2 {
		t.Errorf("%d calls, bad %v, %d missing; want 4, line 4, and 2", r.Calls, r.BadList, r.Missing)
	}
}

// What a program calls itself never becomes markup, wherever it is put.
func TestHostileNamesStayText(t *testing.T) {
	const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	quoted := strings.ReplaceAll(hostile, `"`, `\"`)
	quoted = quoted[:len(quoted)-1] + `>`
	for _, verdict := range []string{"allow", "deny"} {
		text := strings.ReplaceAll(sample(1, verdict), "HOSTILE", quoted)
		r := read(t, text+text)
		r.Name = hostile
		r.BadList, r.Bad = []BadLine{{1, errors.New(hostile)}}, 1
		page := pageOf(t, r)
		for _, markup := range []string{"<script", "<img", `"'>`} {
			if strings.Contains(page, markup) {
				t.Errorf("verdict %s: the page has %s", verdict, markup)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)") {
			t.Errorf("verdict %s: the name is not on the page", verdict)
		}
	}
}

func TestPageLoadsNothing(t *testing.T) {
	page := pageOf(t, read(t, sample(1, "deny")))
	for _, reference := range []string{"http:", "https:", "src=", "href", "url(", "@import", "<script", "<link"} {
		if strings.Contains(page, reference) {
			t.Errorf("the page has %s", reference)
		}
	}
	if !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("the page does not forbid a browser to load anything")
	}
}

func TestControlCharactersAreWrittenOut(t *testing.T) {
	text := "a\u202eb\x1b\x00é\ufffd"
	clean(&text, maxName)
	if want := `a\u202eb\x1b\x00é` + "\ufffd"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	text = strings.Repeat("x", 100)
	if clean(&text, 5); text != "xxxxx…" {
		t.Errorf("%q is not five characters", text)
	}
	if got := short("stress-ng-pidfd[19226]", 11); got != "stres…9226]" {
		t.Errorf("short: %q", got)
	}
}

func TestBadLines(t *testing.T) {
	good := sample(1, "allow")
	for _, row := range []struct {
		name, text string
		calls, bad int
		say        string
	}{
		{"none", "", 0, 0, ""},
		{"no end", strings.TrimSuffix(good, "\n"), 1, 0, ""},
		{"empty line", good + "\n" + good, 2, 1, "2: it is empty"},
		{"cut off", good + good[:50], 1, 1, "2: it is not JSON, from byte 50 on: unexpected end of JSON input"},
		{"too long", strings.Repeat("x", 3*maxLine) + "\n" + good, 1, 1, "1: it has more than 1048576 bytes"},
		{"long, and good before the bound", good[:len(good)-1] + strings.Repeat(" ", maxLine) + "\n" + good, 1, 1, "1: it has more than 1048576 bytes"},
		{"an array", "[]\n" + good, 1, 1, "1: a JSON array is no line of an audit"},
		{"null", "null\n" + good, 1, 1, `1: time: "" is no time`},
		{"wrong kind", `{"caller":{"pid":"x"}}` + "\n" + good, 1, 1, "1: caller.pid: a JSON string is not what belongs there"},
		{"verdict", sample(1, "perhaps") + good, 1, 1, `1: verdict: "perhaps" is neither allow, deny, log nor error`},
		{"caller", `{"time":"2026-02-03T03:05:06Z","verdict":"deny"}` + "\n" + good, 1, 1, "1: caller: there is none"},
		{"many", strings.Repeat("x\n", 50) + good, 1, 50, "1: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := read(t, row.text)
			if r.Calls != row.calls || r.Bad != row.bad || len(r.BadList) > maxBadList {
				t.Errorf("%d calls and %d bad lines, want %d and %d", r.Calls, r.Bad, row.calls, row.bad)
			}
			if row.bad > 0 {
				if said := fmt.Sprintf("%d: %v", r.BadList[0].Number, r.BadList[0].Err); !strings.HasPrefix(said, row.say) {
					t.Errorf("said %q, want %q", said, row.say)
				}
			}
			pageOf(t, r)
		})
	}
	if _, err := (Filter{}).Read("f", strings.NewReader("x\ny\n")); err == nil || !strings.HasPrefix(err.Error(), "f:1: it is not JSON") {
		t.Errorf("nothing readable: %v", err)
	}
}

// Lines that are not there are counted, those that are bad, or another run's, are not.
func TestMissingLines(t *testing.T) {
	for _, row := range []struct {
		name string
		text string
		want uint64
	}{
		{"gap", sample(7, "allow") + sample(9, "allow"), 1},
		{"bad between", sample(1, "allow") + "x\n" + sample(3, "allow"), 0},
		{"appended run", sample(9, "allow") + sample(1, "allow") + sample(2, "allow"), 0},
	} {
		if got := read(t, row.text).Missing; got != row.want {
			t.Errorf("%s: %d missing, want %d", row.name, got, row.want)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "sample.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	for l := range bytes.Lines(text) {
		f.Add(l)
	}
	f.Add([]byte(`{"time":"0000-01-01T00:00:00Z","seq":18446744073709551615,"verdict":"deny","caller":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text)
		if (l == nil) == (err == nil) {
			t.Fatalf("line %v, error %v", l, err)
		}
		if err != nil {
			return
		}
		var r Report
		r.add(l)
		page := pageOf(t, &r)
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") {
			t.Fatalf("%q is markup on the page", text)
		}
	})
}

// sample is a line; the test's names may be put for HOSTILE.
func sample(seq int, verdict string) string {
	return fmt.Sprintf(`{"time":"2026-02-03T03:05:06Z","seq":%d,"syscall":"HOSTILE","container":"HOSTILE","caller":{"pid":1,"comm":"HOSTILE","exe":"HOSTILE"},`+
		`"target":{"pid":2,"comm":"HOSTILE","exe":"HOSTILE"},"signal":"HOSTILE","verdict":%q,"rule":"HOSTILE","path":"HOSTILE","guard":"HOSTILE","errno":"HOSTILE"}`+"\n", seq, verdict)
}

func read(t *testing.T, text string) *Report {
	t.Helper()
	r, err := Filter{}.Read("sample.jsonl", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var page bytes.Buffer
	if err := r.Write(&page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// TestEqualDenialsAreOneRow groups calls that differ by time and process, and a filter leaves out
// the others.
func TestEqualDenialsAreOneRow(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, `{"time":"2026-02-03T03:05:%02dZ","seq":%d,"syscall":"kill","container":"c%d","caller":{"pid":%d,"comm":"sh"},`+
			`"target":{"pid":2,"comm":"init"},"signal":"SIGTERM","verdict":"deny","rule":"r%d"}`+"\n", i, i+1, i%2, 100+i, i%2)
	}
	r := read(t, text.String())
	if len(r.Denials.List) != 2 || r.Denials.Total() != 40 {
		t.Fatalf("%d rows of %d denials", len(r.Denials.List), r.Denials.Total())
	}
	d := r.Denials.List[0]
	if d.Calls != 20 || d.Caller != "sh (several)" || d.Target != "init[2]" || d.times() != "seq 1, and 19 more until 2026-02-03 03:05:38.000000" {
		t.Errorf("%+v: %s", d, d.times())
	}
	for _, f := range []Filter{{Container: "c1"}, {Rule: "r1"}} {
		only, err := f.Read("a", strings.NewReader(text.String()))
		if err != nil || only.Calls != 20 || len(only.Denials.List) != 1 || !strings.Contains(pageOf(t, only), "Only calls with ") {
			t.Errorf("%+v: %v, %d calls", f, err, only.Calls)
		}
	}
	if none, err := (Filter{Verdict: "allow"}).Read("a", strings.NewReader(text.String())); err != nil || none.Calls != 0 {
		t.Errorf("nothing left: %v", err)
	}
}
