package pidfdshim_test

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	pidfdshim "github.com/pidfd-shim/pidfd-shim"
	"github.com/pidfd-shim/pidfd-shim/arch"
)

func TestMain(m *testing.M) {
	pidfdshim.Main()
	os.Exit(m.Run())
}

// A command that may signal nobody but itself and its children, by any call there is.
func Example() {
	policy, err := pidfdshim.ParsePolicy("own-children", []byte(`
version: 1
syscalls: all
default: deny
rules:
  - {name: own, action: allow, match: {target: {relation: [self, child]}}}
`))
	if err != nil {
		log.Fatal(err)
	}
	shim, err := pidfdshim.New(pidfdshim.Options{Policy: policy})
	if err != nil {
		log.Fatal(err)
	}
	defer shim.Close()

	cmd := exec.Command("sh", "-c", "sleep 60 & kill $! && echo its child: good; kill -0 1 2>/dev/null || echo init: refused")
	cmd.Stdout = os.Stdout
	served, err := shim.Start(cmd)
	if err != nil {
		log.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		log.Fatal(err)
	}
	if err := served.Wait(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// its child: good
	// init: refused
}

// An observer is told of each call.
func ExampleObserver() {
	policy, err := pidfdshim.ParsePolicy("no-hup", []byte(`
version: 1
syscalls: [kill]
default: allow
rules:
  - {name: no-hup, action: deny, match: {signals: [SIGHUP]}}
`))
	if err != nil {
		log.Fatal(err)
	}
	shim, err := pidfdshim.New(pidfdshim.Options{Policy: policy, Observer: pidfdshim.ObserverFunc(func(e pidfdshim.Event) {
		fmt.Println(e.Syscall, e.Signal, e.Denied, e.Rule, e.Errno == 0)
	})})
	if err != nil {
		log.Fatal(err)
	}
	defer shim.Close()
	served, err := shim.Start(exec.Command("sh", "-c", "kill -HUP $$"))
	if err != nil {
		log.Fatal(err)
	}
	_ = served.Wait()
	// Output: kill 1 true no-hup false
}

// A handler for a call that the library does not know is one entry of a map.
func ExampleOptions_handlers() {
	var calls atomic.Int32
	count := func(*pidfdshim.Call) pidfdshim.Verdict {
		calls.Add(1)
		return pidfdshim.Return(4711)
	}
	shim, err := pidfdshim.New(pidfdshim.Options{Handlers: map[pidfdshim.Number]pidfdshim.Handler{
		{ABI: arch.AMD64, Nr: 110}: count, // getppid(2)
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer shim.Close()
	cmd := exec.Command("sh", "-c", "echo $PPID")
	cmd.Stdout = os.Stdout
	served, err := shim.Start(cmd)
	if err != nil {
		log.Fatal(err)
	}
	_ = cmd.Wait()
	_ = served.Wait()
	fmt.Println("answered:", calls.Load())
	// Output:
	// 4711
	// answered: 1
}
