package metrics

import "github.com/pidfd-shim/pidfd-shim/internal/web"

// Pages are /metrics, and /healthz by the given answer: nil is health.
func (c *Calls) Pages(health func() error) web.Pages {
	return web.Pages{
		"/metrics": func() web.Answer {
			return web.Answer{Status: web.OK, Type: "text/plain; version=0.0.4; charset=utf-8", Body: []byte(c.families.text())}
		},
		"/healthz": func() web.Answer {
			if err := health(); err != nil {
				return web.Text(web.Unavailable, err.Error())
			}
			return web.Text(web.OK, "ok")
		},
	}
}
