package shim

// Observer watches calls: for trace, audit and counters.
type Observer interface {
	Before(c *Call, v Verdict)
	After(c *Call, v Verdict, answered error)
}

// Witness is an Observer that also looks at the target right before the signal goes
// out: afterwards the target may be gone. Handlers tell it by Call.BeforeSend.
type Witness interface {
	BeforeSend(c *Call)
}
