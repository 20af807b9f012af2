package report

import "fmt"

// maxDenials is how many different denials the page lists: more than somebody reads.
const maxDenials = 1000

// denials are the first of them, equal ones together, and how many calls came after.
type denials struct {
	List []denialRow
	More int

	total  int
	places map[denialKey]int // in List
}

// denialRow is a row of the table: calls that differ by who of a program called, or was called,
// and when.
type denialRow struct {
	denialKey
	Time, Last string // of the first and the last
	Seq        uint64 // of the first
	Calls      int
	Caller     string // of all, or the program's name if there were several
	Target     string
}

type denialKey struct {
	Container                        string
	CallerComm, CallerExe            string
	TargetComm, TargetExe            string
	Signal, Rule, Errno, SyscallName string
}

func (d *denials) add(l *line) {
	if l.Verdict != "deny" {
		return
	}
	d.total++
	key := denialKey{
		Container: l.Container, SyscallName: l.Syscall, CallerComm: l.Caller.comm(), CallerExe: l.Caller.exe(),
		TargetComm: l.targetComm(), TargetExe: l.Target.exe(),
		Signal: or(l.Signal, "-"), Rule: or(l.Rule, "-"), Errno: l.Errno,
	}
	if at, known := d.places[key]; known {
		d.List[at].again(l)
		return
	}
	if len(d.List) == maxDenials {
		d.More++
		return
	}
	if d.places == nil {
		d.places = make(map[denialKey]int)
	}
	d.places[key] = len(d.List)
	d.List = append(d.List, denialRow{denialKey: key, Time: l.Time, Last: l.Time, Seq: l.Seq, Calls: 1, Caller: l.Caller.name(), Target: l.target()})
}

// again counts one more in. Numbers of processes are left out once there are several.
func (d *denialRow) again(l *line) {
	d.Calls++
	d.Last = l.Time
	if d.Caller != l.Caller.name() {
		d.Caller = d.CallerComm + " (several)"
	}
	if d.Target != l.target() {
		d.Target = d.TargetComm + " (several)"
	}
}

// times says how often, if more than once.
func (d *denialRow) times() string {
	if d.Calls == 1 {
		return fmt.Sprintf("seq %d", d.Seq)
	}
	return fmt.Sprintf("seq %d, and %d more until %s", d.Seq, d.Calls-1, d.Last)
}

// Total is how many calls were denied.
func (d *denials) Total() int { return d.total }
