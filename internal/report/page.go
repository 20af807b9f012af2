package report

import (
	_ "embed"
	"io"
	"strings"
	"time"
)

//go:embed page.css
var style string

// Write writes the page. It needs nothing but itself, and its policy
// (Content-Security-Policy) lets a browser load and run nothing.
func (r *Report) Write(out io.Writer) error {
	m := newMarkup(out)
	r.head(m)
	r.summary(m)
	r.Denials.write(m)
	r.Graph().write(m)
	r.Timeline().write(m)
	m.put("\n<h2>Totals</h2>\n<div class=\"totals\">")
	for _, t := range r.Totals() {
		t.write(m)
	}
	m.put("\n</div>\n</body>\n</html>\n")
	return m.out.Flush()
}

func (r *Report) head(m markup) {
	m.put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pidfd-shim report of %s</title>
<style>
`, r.Name)
	_, _ = m.out.WriteString(style)
	m.put(`</style>
</head>
<body>
<h1>Who signalled whom: <span class="name">%s</span></h1>`, r.Name)
}

func (r *Report) summary(m markup) {
	if r.Calls > 0 {
		m.put("\n<p class=\"quiet\">%s to %s, UTC. Names and paths are what the programs said of themselves.</p>",
			timeText(r.First), timeText(r.Last))
	}
	m.put("\n<div class=\"summary\">\n<div><b>%d</b>calls</div>\n<div", r.Calls)
	if r.Denials.Total() > 0 {
		m.put(` class="denied"`)
	}
	m.put("><b>%d</b>denied</div>\n</div>", r.Denials.Total())
	if len(r.Only) > 0 {
		m.put("\n<p class=\"quiet\">Only calls with %s.</p>", strings.Join(r.Only, ", "))
	}
	if r.Missing > 0 {
		m.put("\n<p class=\"warn\">Lines that are missing, by their numbers: %d. They were dropped when the audit's queue was full, or are in another file.</p>", r.Missing)
	}
	if r.Bad == 0 {
		return
	}
	m.put("\n<div class=\"warn\">Lines that could not be read, and do not count: %d", r.Bad)
	if r.Bad > len(r.BadList) {
		m.put(". The first %d:", len(r.BadList))
	}
	each(m, r.BadList, "\n<br>line %d: %s", func(b *BadLine) []any { return []any{b.Number, b.Err} })
	m.put("\n</div>")
}

func (d *denials) write(m markup) {
	m.put("\n\n<h2>Denials</h2>")
	if len(d.List) == 0 {
		m.put("\n<p>None.</p>")
		return
	}
	m.put(`
<div class="scroll"><table class="wide">
<tr><th>time (UTC)</th><th>caller</th><th>target</th><th>signal</th><th>rule</th><th>errno</th></tr>`)
	for i := range d.List {
		d.List[i].write(m)
	}
	m.put("\n</table></div>")
	if d.More > 0 {
		m.put("\n<p class=\"warn\">%d later denials, unlike these, are counted, but not listed.</p>", d.More)
	}
}

func (d *denialRow) write(m markup) {
	m.put(`
<tr><td class="time" title="time">%s<small class="name">%s</small></td>
<td title="caller"><span class="name">%s</span><small class="name">%s</small>`, d.Time, d.times(), d.Caller, d.CallerExe)
	if d.Container != "" {
		m.put(`<small class="name">in %s</small>`, d.Container)
	}
	m.put(`</td>
<td title="target"><span class="name">%s</span><small class="name">%s</small></td>
<td title="signal">%s<small class="name">%s</small></td><td title="rule" class="name">%s</td><td title="errno">%s</td></tr>`,
		d.Target, d.TargetExe, d.Signal, d.SyscallName, d.Rule, d.Errno)
}

func (g *Graph) write(m markup) {
	m.put("\n\n<h2>Who signalled whom</h2>")
	if g == nil {
		m.put("\n<p>No calls.</p>")
		return
	}
	m.put(`
<div class="scroll"><svg viewBox="-1 0 %d %d" role="img" aria-label="callers left, targets right">
<text x="8" y="16">callers</text><text x="708" y="16">targets</text>`, g.Width, g.Height)
	each(m, g.Edges, "\n<path class=\"%s\" d=\"%s\" stroke-width=\"%.1f\"><title>%s</title></path>",
		func(e *Edge) []any { return []any{e.Class, e.Path, e.Stroke, e.Title} })
	each(m, g.Edges, "\n<text class=\"count %s\" x=\"%v\" y=\"%v\">%s</text>",
		func(e *Edge) []any { return []any{e.Class, e.LabelX, e.LabelY, e.Label} })
	each(m, g.Nodes, "\n<g><title>%s</title><rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/><text class=\"label\" x=\"%d\" y=\"%[4]d\" dy=\"15\">%[8]s</text></g>",
		func(n *Node) []any { return []any{n.Title, n.Class, n.X, n.Y, n.Width, n.Height, n.TextX, n.Label} })
	m.put("\n</svg></div>\n<p class=\"quiet\">Numbers are calls; red is where a rule denied some.")
	if g.Beyond > 0 {
		m.put(" %d calls between further pairs are not drawn.", g.Beyond)
	}
	m.put("</p>")
}

func (t *Timeline) write(m markup) {
	m.put("\n\n<h2>When</h2>")
	if t == nil {
		m.put("\n<p>No calls.</p>\n")
		return
	}
	m.put(`
<div class="scroll"><svg viewBox="0 0 %d %d" role="img" aria-label="calls by time">
<text x="0" y="12">calls in the highest bar: %d; a bar is %s</text>`, t.Width, t.Height, t.Top, t.Step)
	each(m, t.Bars, "\n<rect class=\"bar %s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>%s</title></rect>",
		func(b *Bar) []any { return []any{b.Class, b.X, b.Y, b.W, b.H, b.Title} })
	m.put("\n<path d=\"M0 %dH%d\" stroke=\"#b3bcc4\"/>", t.Base, t.Width)
	each(m, t.Ticks, "\n<text x=\"%v\" y=\"184\" text-anchor=\"%s\">%s</text>",
		func(k *Tick) []any { return []any{k.X, k.Align, k.Text} })
	m.put(`
</svg></div>
<p class="quiet"><span class="key deny"></span>denied by a rule<span class="key error"></span>failed with the kernel's errno<span class="key allow"></span>allowed</p>
`)
}

func (t *Total) write(m markup) {
	m.put("\n<table><tr><th>%s</th><th class=\"n\">calls</th></tr>", t.Title)
	each(m, t.Rows, "\n<tr><td class=\"name\">%s</td><td class=\"n\">%d</td></tr>", func(r *TotalRow) []any { return []any{r.Value, r.Calls} })
	m.put("\n</table>")
}

func timeText(at time.Time) string { return at.Format("2006-01-02 15:04:05.000") }
