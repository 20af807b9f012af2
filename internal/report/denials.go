package report

// maxDenials is how many denials the page lists: more than somebody reads.
const maxDenials = 1000

// denials are the first of them, and how many came after.
type denials struct {
	List []Denial
	More int
}

// Denial is a row of the table.
type Denial struct {
	Time, Container     string
	Caller, CallerExe   string
	Target, TargetExe   string
	Signal, Rule, Errno string
	Syscall             string
	Seq                 uint64
}

func (d *denials) add(l *line) {
	if l.Verdict != "deny" {
		return
	}
	if len(d.List) == maxDenials {
		d.More++
		return
	}
	d.List = append(d.List, Denial{
		Time: l.Time, Seq: l.Seq, Container: l.Container, Syscall: l.Syscall,
		Caller: l.Caller.name(), CallerExe: l.Caller.exe(),
		Target: l.target(), TargetExe: l.Target.exe(),
		Signal: or(l.Signal, "-"), Rule: or(l.Rule, "-"), Errno: l.Errno,
	})
}

// Total is how many calls were denied.
func (d *denials) Total() int { return len(d.List) + d.More }
