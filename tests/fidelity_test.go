package tests

import (
	"strings"
	"testing"
)

func parsed(t *testing.T, lines ...string) []exception {
	t.Helper()
	list, err := parseExceptions(strings.NewReader("```exceptions\n" + strings.Join(lines, "\n") + "\n```\n"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestJudge covers every way in which a row can pass or fail.
func TestJudge(t *testing.T) {
	const user, queue = "ret=0 errno=0 got=target: {code=SI_USER uid=7}", "ret=0 errno=0 got=target: {code=SI_QUEUE uid=7}"
	const replaces = "forward | ns=*/info=NULL | code=SI_USER => code=SI_QUEUE | why | test"
	tests := []struct {
		name, mode, exception, native, shim string
		equal, excepted, failed             int
	}{
		{"equal", "forward", "", user, user, 1, 0, 0},
		{"different", "forward", "", user, queue, 0, 0, 1},
		{"excepted", "forward", replaces, user, queue, 0, 1, 0},
		{"stale", "forward", replaces, user, user, 0, 0, 1},
		{"other mode", "continue", replaces, user, queue, 0, 0, 1},
		{"more than the exception says", "forward", replaces, user, queue + " more", 0, 0, 1},
		{"exception changes nothing", "forward", replaces, queue, queue, 1, 0, 1},
		{"exception may be unseen", "forward", strings.Replace(replaces, "code", "if-present code", 1), queue, queue, 1, 0, 0},
		{"exception of no row", "forward", strings.Replace(replaces, "ns=", "fds/", 1), user, user, 1, 0, 1},
		{"sometimes, now", "forward", strings.Replace(replaces, "code", "sometimes code", 1), user, queue, 0, 1, 0},
		{"sometimes, not now", "forward", strings.Replace(replaces, "code", "sometimes code", 1), user, user, 1, 0, 0},
		{"shape", "forward", "* | ns=* | ret=0 * -> ret=-1 errno=EPERM * | why | test", user, "ret=-1 errno=EPERM got=nothing", 0, 1, 0},
		{"wrong shape", "forward", "* | ns=* | ret=0 * -> ret=-1 errno=EPERM * | why | test", user, "ret=-1 errno=EIO got=nothing", 0, 0, 1},
		{"width", "forward", "forward@m32 | ns=* | code=SI_USER => code=SI_QUEUE | why | test", user, queue, 0, 0, 1},
		{"one of two names", "forward", "forward | x, ns=* | code=SI_USER => code=SI_QUEUE | why | test", user, queue, 0, 1, 0},
		{"taken out again", "forward", strings.Replace(replaces, "info=NULL", "info=NULL, !*=pid/*", 1), user, queue, 0, 0, 2},
		{"others taken out", "forward", strings.Replace(replaces, "info=NULL", "info=NULL, !*=user/*", 1), user, queue, 0, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const id = "ns=pid/info=NULL"
			v := judge([]row{{id, tt.native}}, []row{{id, tt.shim}}, parsed(t, tt.exception), tt.mode, "m64", false)
			if v.equal != tt.equal || v.excepted != tt.excepted || len(v.failures) != tt.failed {
				t.Errorf("got %v, want %d equal, %d excepted, %d failed", v, tt.equal, tt.excepted, tt.failed)
			}
		})
	}
}

func TestJudgeMissingRow(t *testing.T) {
	native := []row{{"a", "x"}, {"b", "x"}}
	if v := judge(native, native[:1], nil, "auto", "m64", false); len(v.failures) == 0 {
		t.Error("a row that did not run is not noticed")
	}
}

func TestJudgePart(t *testing.T) {
	list := parsed(t, "auto | other | a => b | why | test")
	rows := []row{{"a", "x"}}
	if v := judge(rows, rows, list, "auto", "m64", true); len(v.failures) > 0 {
		t.Errorf("in a part of the rows an exception for others fails: %v", v.failures)
	}
}

// TestParseExceptionsRefuses: a table that is not understood must not be skipped.
func TestParseExceptionsRefuses(t *testing.T) {
	for _, line := range []string{
		"forward | row | a => b | why",
		"forward | row | a => b | why | ",
		"forwards | row | a => b | why | test",
		"forward@m16 | row | a => b | why | test",
		"forward | row | a | why | test",
	} {
		if _, err := parseExceptions(strings.NewReader("```exceptions\n" + line + "\n```")); err == nil {
			t.Errorf("%q is accepted", line)
		}
	}
	if _, err := parseExceptions(strings.NewReader("no block")); err == nil {
		t.Error("a file without the block is accepted")
	}
}

func TestParseRowsRefuses(t *testing.T) {
	for _, text := range []string{
		"ROW a | ret=0 errno=0 | got=nothing\n",
		"ROW a | ret=0 errno=0 | got=nothing\nROWS 2\n",
		"ROW a | x | y\nROW a | x | y\nROWS 2\n",
		"hello\nROWS 0\n",
	} {
		if _, err := parseRows(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
