package report

import (
	"fmt"
	"math"
	"strings"
)

// maxNodes is how many callers, and how many targets, are drawn. The last one stands
// for all others.
const maxNodes = 30

// Graph is a drawing of who signalled whom: callers left, targets right.
type Graph struct {
	Width, Height int
	Nodes         []Node
	Edges         []Edge
	Beyond        int // calls of pairs that are not drawn at all
}

// Node is a caller or a target.
type Node struct {
	X, Y, TextX   int
	Label, Title  string
	Class         string // whether denials touch it
	Width, Height int
}

// Edge is a line with its number.
type Edge struct {
	Path           string
	Stroke         float64
	Class          string
	Label, Title   string
	LabelX, LabelY float64
}

const (
	graphWidth = 1000
	nodeWidth  = 300
	nodeHeight = 22
	nodeStep   = 30
	nodeText   = 38 // characters that fit
	graphTop   = 30
)

// Graph draws the pairs. The same audit is always drawn the same.
func (r *Report) Graph() *Graph {
	links := r.pairs.links()
	if len(links) == 0 {
		return nil
	}
	from, to := newColumn(links, func(l link) string { return l.from }), newColumn(links, func(l link) string { return l.to })
	sum := map[[2]string]counts{}
	for _, l := range links {
		ends := [2]string{from.name(l.from), to.name(l.to)}
		total := sum[ends]
		total.add(l.counts)
		sum[ends] = total
	}
	links = sortLinks(sum)
	from.weigh(links, func(l link) string { return l.from })
	to.weigh(links, func(l link) string { return l.to })
	g := &Graph{Width: graphWidth + 2, Beyond: r.pairs.others.total()}
	g.Height = graphTop + nodeStep*max(len(from.names), len(to.names))
	for i := len(links) - 1; i >= 0; i-- { // denials last: on top
		g.Edges = append(g.Edges, edge(links[i], from, to))
	}
	g.Nodes = append(from.nodes(0), to.nodes(graphWidth-nodeWidth)...)
	return g
}

// column is one side of the drawing, from above.
type column struct {
	names  []string
	row    map[string]int
	others string // the name of the last, if it stands for many
	degree map[string]int
	labels map[string]int // numbers that stand at a node already
	sum    map[string]counts
}

func newColumn(links []link, end func(link) string) *column {
	c := &column{row: map[string]int{}, degree: map[string]int{}, labels: map[string]int{}, sum: map[string]counts{}}
	for _, l := range links {
		if _, known := c.row[end(l)]; !known {
			c.row[end(l)] = len(c.row)
			c.names = append(c.names, end(l))
		}
	}
	if len(c.names) > maxNodes {
		c.others = fmt.Sprintf("(%d others)", len(c.names)-maxNodes+1)
		for _, name := range c.names[maxNodes-1:] {
			c.row[name] = maxNodes - 1
		}
		c.names = append(c.names[:maxNodes-1:maxNodes-1], c.others)
	}
	return c
}

// name is whose node an end is drawn at.
func (c *column) name(end string) string { return c.names[c.row[end]] }

func (c *column) weigh(links []link, end func(link) string) {
	c.row = map[string]int{}
	for i, name := range c.names {
		c.row[name] = i
	}
	for _, l := range links {
		c.degree[end(l)]++
		total := c.sum[end(l)]
		total.add(l.counts)
		c.sum[end(l)] = total
	}
}

func (c *column) nodes(x int) []Node {
	var list []Node
	for i, name := range c.names {
		sum := c.sum[name]
		n := Node{X: x, Y: graphTop + i*nodeStep, TextX: x + 8, Label: short(name, nodeText), Title: name + ": " + sum.text(), Class: "node", Width: nodeWidth, Height: nodeHeight}
		if sum.Deny > 0 {
			n.Class = "node denied"
		}
		list = append(list, n)
	}
	return list
}

func (c *column) middle(name string) float64 {
	return float64(graphTop + c.row[name]*nodeStep + nodeHeight/2)
}

func edge(l link, from, to *column) Edge {
	const x0, x1 = nodeWidth, graphWidth - nodeWidth
	const bend = (x1 - x0) / 2
	y0, y1 := from.middle(l.from), to.middle(l.to)
	e := Edge{
		Path:   fmt.Sprintf("M%d %g C%d %g %d %g %d %g", x0, y0, x0+bend, y0, x1-bend, y1, x1, y1),
		Stroke: min(6, 1+math.Log2(float64(l.total()))/2),
		Class:  "edge",
		Label:  fmt.Sprint(l.total()),
		Title:  l.from + " → " + l.to + ": " + l.text(),
	}
	switch {
	case l.Deny == l.total():
		e.Class, e.Label = "edge denied", fmt.Sprintf("%d denied", l.Deny)
	case l.Deny > 0:
		e.Class, e.Label = "edge denied", fmt.Sprintf("%d of %d denied", l.Deny, l.total())
	}
	at := 1 - to.label(l.to)
	if to.degree[l.to] > from.degree[l.from] {
		at = from.label(l.from)
	}
	e.LabelX = bezier(at, x0, x0+bend, x1-bend, x1)
	e.LabelY = math.Round(bezier(at, y0, y0, y1, y1)) - 3
	return e
}

// label is how far from its node the next number stands, as a part of the edge: it is
// that of the end with fewer edges, and where those are several they step aside.
func (c *column) label(name string) float64 {
	at := 0.15 + 0.1*float64(c.labels[name]%3)
	c.labels[name]++
	return at
}

func bezier(t, a, b, c, d float64) float64 {
	s := 1 - t
	return math.Round(10*(s*s*s*a+3*s*s*t*b+3*s*t*t*c+t*t*t*d)) / 10
}

// text says what became of some calls.
func (c counts) text() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{c.Deny, "denied"}, {c.Error, "failed"}, {c.Allow, "allowed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}
