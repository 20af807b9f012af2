package bench

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The plot's measures, in pixels.
const (
	svgName  = 260 // of the column of names
	svgScale = 480
	svgLine  = 22
	svgMost  = 4.0 // what is more ends at the edge, with its figure
)

// SVG draws each ratio as a line from 1, with its bar as a tick: left of the tick is good,
// right of it where the bar is a lower one.
func (r *Report) SVG(w io.Writer) error {
	var rows []Row
	for _, row := range r.Rows {
		if row.Unit == "x" && row.Status != StatusError {
			rows = append(rows, row)
		}
	}
	var b strings.Builder
	height := (len(rows) + 3) * svgLine
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", svgName+svgScale+90, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="15">%s: %s</text>`+"\n",
		html.EscapeString("Linux "+r.Kernel), html.EscapeString(r.Summary()))
	for x := 0.0; x <= svgMost; x++ {
		fmt.Fprintf(&b, `<line x1="%.0f" x2="%.0f" y1="%d" y2="%d" stroke="#ddd"/><text x="%.0f" y="%d" fill="#666">%g</text>`+"\n",
			across(x), across(x), svgLine, height-svgLine, across(x)-4, height-6, x)
	}
	for i, row := range rows {
		row.draw(&b, (i+1)*svgLine, row.figure(r.Statistic))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// across is where a ratio lies.
func across(x float64) float64 { return svgName + svgScale*math.Min(x, svgMost)/svgMost }

func (row *Row) draw(b *strings.Builder, y int, figure float64) {
	colour := map[Status]string{StatusPass: "#2a7", StatusMiss: "#c33"}[row.Status]
	if colour == "" {
		colour = "#888"
	}
	middle := y + svgLine/2
	fmt.Fprintf(b, `<text x="8" y="%d">%s</text>`, middle+4, html.EscapeString(row.Case))
	fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-width="8"/>`, across(1), across(figure), middle, middle, colour)
	if row.Bar != 0 {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#000" stroke-width="2"/>`, across(row.Bar), across(row.Bar), y+2, y+svgLine-2)
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d">%.2f</text>`+"\n", math.Max(across(figure), across(row.Bar))+6, middle+4, figure)
}
