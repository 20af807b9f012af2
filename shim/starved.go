package shim

import (
	"bytes"
	"fmt"
	"os"
)

// starved tells that the worker's thread runs, or could if it had a processor: it does not
// wait for a caller, however long it has been where it is (proc_pid_stat(5), state R). A
// read of a page that nobody fills is in state D or S.
func (w *Worker) starved() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", w.tid.Load()))
	if err != nil {
		return false
	}
	name := bytes.LastIndexByte(stat, ')') // which may contain anything
	return name >= 0 && bytes.HasPrefix(stat[name:], []byte(") R"))
}
