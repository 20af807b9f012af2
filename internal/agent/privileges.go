package agent

import (
	"os"

	"github.com/pidfd-shim/pidfd-shim/internal/confine"
	"github.com/pidfd-shim/pidfd-shim/internal/web"
)

// Privileges are what a running agent may do, as it tells itself on its control socket.
type Privileges struct {
	Pid          int      `json:"pid"`
	Threads      int      `json:"threads"`
	Capabilities []string `json:"capabilities"` // effective in some thread
	Bounding     []string `json:"bounding"`
	NoNewPrivs   bool     `json:"no_new_privs"`
	Filtered     bool     `json:"filtered"`
	Confined     bool     `json:"confined"` // none that an agent has no use for, and filtered
	Missing      []string `json:"missing,omitempty"`
}

func privileges() web.Answer {
	s, err := confine.Of(os.Getpid())
	if err != nil {
		return web.Text(web.Failed, err.Error())
	}
	p := Privileges{
		Pid: os.Getpid(), Threads: s.Threads, Capabilities: confine.Names(s.Effective), Bounding: confine.Names(s.Bounding),
		NoNewPrivs: s.NoNewPrivs, Filtered: s.Filtered, Confined: s.Confined(),
	}
	for _, c := range s.Missing() {
		p.Missing = append(p.Missing, c.Name())
	}
	return web.JSON(p)
}
