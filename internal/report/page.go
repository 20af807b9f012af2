package report

import (
	_ "embed"
	"html/template"
	"io"
	"sync"
	"time"
)

//go:embed page.html
var pageText string

// page is checked when it is parsed, which every start of the program would pay for if it
// were not put off; html/template escapes by context.
var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{"time": timeText}).Parse(pageText))
})

// Write writes the page. It needs nothing but itself, and its policy
// (Content-Security-Policy) lets a browser load and run nothing.
func (r *Report) Write(out io.Writer) error { return page().Execute(out, r) }

func timeText(at time.Time) string { return at.Format("2006-01-02 15:04:05.000") }
