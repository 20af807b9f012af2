package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/life"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// tracerAudit is the tracer's number for a descriptor that --audit=fd:N named.
const tracerAudit = role.Socket + 1

// tracedHooks are the supervisor's part of the ptrace backend; the tracer is told what run was.
//
// Precondition: see supervisor.StartTracer.
func tracedHooks(base *supervisor.Base, c *runConfig, inherited *front.Inherited) (front.Hooks, error) {
	own := *c
	var audit *os.File
	if isDescriptor(c.Audit) {
		file, err := openAudit(c.Audit, inherited)
		if err != nil {
			return front.Hooks{}, err
		}
		defer file.Close()
		audit, own.Audit = file, "fd:"+strconv.Itoa(tracerAudit)
	}
	word, err := json.Marshal(&own)
	if err != nil {
		return front.Hooks{}, fmt.Errorf("hand the flags to the tracer: %w", err)
	}
	tracer, err := supervisor.StartTracer([]string{string(word)}, audit)
	if err != nil {
		return front.Hooks{}, err
	}
	return life.Traced(base, tracer, inherited.Blocked, func() { pauseStart(c.Pause) }, c.beside()), nil
}

// trace is the tracer process.
func trace(args []string) error {
	parent := role.Conn{File: role.Settle()}
	_ = front.Deafen()
	_ = front.QuietStops() // for speed alone
	err := traceFor(args, parent)
	if err != nil {
		supervisor.FailTracer(parent, err)
	}
	return err
}

func traceFor(args []string, parent role.Conn) error {
	c, err := readConfig(args)
	if err != nil {
		return err
	}
	ours := []int{role.Socket}
	if isDescriptor(c.Audit) {
		ours = append(ours, tracerAudit)
	}
	if err := front.CloseInherited(ours...); err != nil {
		return err
	}
	base, err := c.base()
	if err != nil {
		return err
	}
	traced := base.Traced()
	observers, err := c.watch(&traced.Service, func() (*os.File, error) { return openTracerAudit(c.Audit) })
	if err != nil {
		return err
	}
	defer observers.close()
	defer base.Close()
	return traced.Obey(parent, func() { // no pipe of COMMAND's user's is kept open
		observers.flush()
		if c.Trace != "-" {
			front.DropStderr()
		}
	})
}

func openTracerAudit(name string) (*os.File, error) {
	if isDescriptor(name) {
		return os.NewFile(tracerAudit, name), nil
	}
	return openAudit(name, nil)
}
