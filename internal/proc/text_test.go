package proc

import (
	"strings"
	"testing"
)

const realStatus = "Name:\tcat\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t77\nNgid:\t0\nPid:\t78\nPPid:\t5\n" +
	"TracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967295\nFDSize:\t64\nGroups:\t0 \nNStgid:\t77\t3\nNSpid:\t78\t4\t1\n" +
	"Threads:\t12\nCapEff:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"

func wantStatus(name string) Status {
	s := Status{
		State: 'S', Tgid: 77, Pid: 78, PPid: 5, TracerPid: 9,
		UID: [4]uint32{1, 2, 3, 4}, GID: [4]uint32{5, 6, 7, 4294967295},
		NSpids: 3, Threads: 12, CapEff: 0x1ffffffffff, NoNewPrivs: 1, Seccomp: 2,
	}
	copy(s.Name[:], name)
	copy(s.NSpid[:], []int32{78, 4, 1})
	return s
}

func TestParseStatus(t *testing.T) {
	named := func(name string) string { return strings.Replace(realStatus, "\tcat", "\t"+name, 1) }
	withoutNSpid := strings.Replace(realStatus, "NSpid:\t78\t4\t1\n", "", 1)
	noNSpid := wantStatus("x")
	noNSpid.NSpids, noNSpid.NSpid = 0, [32]int32{}
	for _, row := range []struct {
		name, text string
		want       Status
	}{
		{"as Linux writes it", realStatus, wantStatus("cat")},
		{"name with an escaped newline and backslash", named(`a\n\\n`), wantStatus("a\n\\n")},
		{"name with blanks, colons and a parenthesis", named(` Tgid:	1 )`), wantStatus(" Tgid:\t1 )")},
		{"name like a line, not escaped", named("x\nTgid:\t1"), wantStatus("x")},
		{"name like a second name", named("x\nName:\ty"), wantStatus("x")},
		{"name like the state", named("x\nState:\tZ"), wantStatus("x")},
		{"name like NSpid, on a kernel without", strings.Replace(withoutNSpid, "\tcat", "\tx\nNSpid:\t1\t2", 1), noNSpid},
		{"empty name", named(""), wantStatus("")},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got Status
			if !got.parse([]byte(row.text)) || got != row.want {
				t.Errorf("parse(%q)\n got %+v\nwant %+v", row.text, got, row.want)
			}
		})
	}
}

func TestParseStatusIncomplete(t *testing.T) {
	for _, text := range []string{"", "\n", "Name:\tx\nTgid:\t1\n", "Tgid:\t1\nPid:\t1\n", "Tgid:\tx\nPid:\t1\nUid:\t0\t0\t0\t0\n"} {
		var s Status
		if s.parse([]byte(text)) {
			t.Errorf("parse(%q) accepted as complete", text)
		}
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 5 6 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456789 4096 1\n"
	want := Stat{State: 'S', PPid: 5, Pgrp: 6, Session: 7, Threads: 1, Start: 123456789}
	for _, comm := range []string{"cat", "", ")", "a) R 1 1 1 (", "a\nb", ") Z 1 2 3\n", " "} {
		var got Stat
		if text := "4711 (" + comm + ")" + rest; !got.parse([]byte(text)) || got != want {
			t.Errorf("parse(%q) = %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"", "1 (x", "1 (x)", "1 (x) S 1 2 3", "1 (x) SS" + rest[2:], "1 (x) S a" + rest[4:]} {
		var got Stat
		if got.parse([]byte(text)) {
			t.Errorf("parse(%q) accepted", text)
		}
	}
}

func TestParseFdInfo(t *testing.T) {
	lock := "lock:\t1: POSIX  ADVISORY  WRITE 99 00:10:1 0 0\n"
	for _, row := range []struct {
		name, text string
		want       FdInfo
	}{
		{"file", "pos:\t0\nflags:\t0100002\nmnt_id:\t29\nino:\t5\n", FdInfo{Flags: 0o100002, MountID: 29}},
		{"O_PATH", "pos:\t0\nflags:\t012000000\nmnt_id:\t29\n", FdInfo{Flags: 0o12000000, MountID: 29}},
		{"pidfd", "flags:\t02000002\n" + lock + "Pid:\t12\nNSpid:\t12\t1\n", FdInfo{Flags: 0o2000002, HasPid: true, Pid: 12, NSpid: [32]int32{12, 1}, NSpids: 2}},
		{"reaped", "flags:\t02\nPid:\t-1\nNSpid:\t-1\n", FdInfo{Flags: 2, HasPid: true, Pid: -1, NSpid: [32]int32{-1}, NSpids: 1}},
		{"elsewhere", "flags:\t02\nPid:\t0\nNSpid:\t0\n", FdInfo{Flags: 2, HasPid: true, NSpids: 1}},
		{"nonsense", "Pid:\t99999999999\nNSpid:\tx\n", FdInfo{}},
	} {
		var got FdInfo
		if got.parse([]byte(row.text)); got != row.want {
			t.Errorf("%s: parse(%q)\n got %+v\nwant %+v", row.name, row.text, got, row.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, row := range []struct {
		text string
		base uint64
		want uint64
		ok   bool
	}{
		{"0", 10, 0, true},
		{"18446744073709551615", 10, 1<<64 - 1, true},
		{"18446744073709551616", 10, 0, false},
		{"ffffffffffffffff", 16, 1<<64 - 1, true},
		{"1ffffffffffffffff", 16, 0, false},
		{"777", 8, 0o777, true},
		{"8", 8, 0, false},
		{"a", 10, 0, false},
		{"", 10, 0, false},
		{"1 ", 10, 0, false},
		{"-1", 10, 0, false},
	} {
		if got, ok := number([]byte(row.text), row.base); ok != row.ok || ok && got != row.want {
			t.Errorf("number(%q, %d) = %d, %v", row.text, row.base, got, ok)
		}
	}
	for text, want := range map[string]int32{"2147483647": 1<<31 - 1, "-1": -1, "0": 0} {
		if got, ok := pidNumber([]byte(text)); !ok || got != want {
			t.Errorf("pidNumber(%q) = %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"2147483648", "-", "", "--1", "+1"} {
		if got, ok := pidNumber([]byte(text)); ok {
			t.Errorf("pidNumber(%q) = %d", text, got)
		}
	}
}

func TestPidsAreBounded(t *testing.T) {
	var list [32]int32
	if n := pids([]byte(strings.Repeat("\t7", 100)), &list); n != 32 || list[31] != 7 {
		t.Errorf("%d numbers, the last %d", n, list[31])
	}
}

func TestCgroupPath(t *testing.T) {
	for text, want := range map[string]string{
		"0::/user.slice/a:b\n": "/user.slice/a:b",
		"0::/\n":               "/",
		"12:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/u\n": "/u",
		"12:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/\n":  "/s",
		"12:cpu,cpuacct:/c\n1:name=systemd:/\n":         "/c",
		"":                                              "",
		"garbage":                                       "",
		"0::/gone (deleted)\n":                          "/gone (deleted)",
	} {
		if got := cgroupPath(text); got != want {
			t.Errorf("cgroupPath(%q) = %q, want %q", text, got, want)
		}
	}
}

// FuzzTexts feeds all parsers: none may panic, and what is complete makes sense.
func FuzzTexts(f *testing.F) {
	f.Add([]byte(realStatus))
	f.Add([]byte("4711 (a) b) S 5 6 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123 4096 1\n"))
	f.Add([]byte("pos:\t0\nflags:\t02000002\nmnt_id:\t15\nPid:\t12\nNSpid:\t12\t1\n"))
	f.Add([]byte("0::/user.slice\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var status Status
		if status.parse(text) && (status.Tgid <= 0 || status.Pid <= 0) {
			t.Errorf("a complete status without numbers: %+v", status)
		}
		var stat Stat
		if stat.parse(text) && stat.State == 0 {
			t.Error("a complete stat without a state")
		}
		var info FdInfo
		info.parse(text)
		_ = cgroupPath(string(text))
		_ = isNamespace(-1, string(text))
	})
}
