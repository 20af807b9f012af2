package emulate

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// nursery is a process whose children are signalled and whose numbers change hands. It is
// a process of its own because whoever traces may also wait: a parent must be another.
type nursery struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *os.File
	out *bufio.Reader
}

// asNursery makes TestNursery the nursery itself.
const asNursery = "EMULATE_TEST_NURSERY"

// newNursery starts one. Its children block every signal, so that one that came can be
// seen.
func newNursery(t *testing.T) *nursery {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestNursery$")
	cmd.Env = append(os.Environ(), asNursery+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := &nursery{t: t, cmd: cmd, in: in.(*os.File), out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = n.in.Close() // it ends with its children
		_ = cmd.Wait()
	})
	return n
}

func (n *nursery) ask(format string, args ...any) string {
	n.t.Helper()
	if _, err := fmt.Fprintf(n.in, format+"\n", args...); err != nil {
		n.t.Fatal(err)
	}
	line, err := n.out.ReadString('\n')
	if err != nil {
		n.t.Fatalf("%s: %v", format, err)
	}
	return strings.TrimSpace(line)
}

func (n *nursery) pid(format string, args ...any) int32 {
	n.t.Helper()
	answer := n.ask(format, args...)
	pid, err := strconv.Atoi(answer)
	if err != nil {
		n.t.Fatalf("%s: %s", format, answer)
	}
	return int32(pid)
}

// born is a new child; threaded is one that can be told to exec in a thread.
func (n *nursery) born() int32     { n.t.Helper(); return n.pid("born") }
func (n *nursery) threaded() int32 { n.t.Helper(); return n.pid("threaded") }

// exec has a threaded child's thread call execve: "done", or "held" where a tracer of its
// leader makes it wait.
func (n *nursery) exec(pid int32) string { n.t.Helper(); return n.ask("exec %d", pid) }

// die kills a child and says whether its number is free, which it is not while the child
// waits for somebody else first: its tracer.
func (n *nursery) die(pid int32) bool { n.t.Helper(); return n.ask("die %d", pid) == "reaped" }

// reap waits for a child that has been killed.
func (n *nursery) reap(pid int32) { n.t.Helper(); n.ask("reap %d", pid) }

// take gives a number to a new child; false: it is not free.
func (n *nursery) take(pid int32) bool {
	n.t.Helper()
	switch answer := n.ask("take %d", pid); answer {
	case "taken":
		return true
	case unix.EEXIST.Error():
		return false
	default:
		skip.If(n.t, fmt.Errorf("clone3 with set_tid (5.5, CAP_CHECKPOINT_RESTORE): %s", answer))
		return false
	}
}

// TestNursery is the nursery process where it is asked to be.
func TestNursery(t *testing.T) {
	if os.Getenv(asNursery) == "" {
		return
	}
	runtime.LockOSThread()
	kids, triggers := map[int]bool{}, map[int]io.Writer{}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		what, number, _ := strings.Cut(lines.Text(), " ")
		pid, _ := strconv.Atoi(number)
		switch what {
		case "born":
			pid, _ = bear(0, 0)
			kids[pid] = true
			fmt.Println(pid)
		case "init": // of a pid namespace
			pid, _ = bear(0, unix.CLONE_NEWPID)
			kids[pid] = true
			fmt.Println(pid)
		case "threaded":
			var trigger io.Writer
			pid, trigger = bearThreaded()
			kids[pid], triggers[pid] = true, trigger
			fmt.Println(pid)
		case "exec":
			_, _ = triggers[pid].Write([]byte{0})
			fmt.Println(execs(pid))
		case "goes-on":
			for execs(pid) == "held" {
				runtime.Gosched()
			}
			fmt.Println(execs(pid))
		case "take":
			got, errno := bear(pid, 0)
			if errno != 0 {
				fmt.Println(errno)
				break
			}
			kids[got] = true
			fmt.Println("taken")
		case "die":
			fmt.Println(dies(pid))
		case "reap":
			_, _ = syscall.Wait4(pid, nil, 0, nil)
			delete(kids, pid)
			fmt.Println("reaped")
		}
	}
	for pid := range kids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	os.Exit(0)
}

// dies kills a child and reaps it, if it is ours to reap: a traced one stays.
func dies(pid int) string {
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for {
		got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		if got == pid {
			return "reaped"
		}
		if err != nil && err != syscall.EINTR {
			return err.Error()
		}
		if state, tracer := stateOf(pid); tracer != 0 && (state == 't' || state == 'Z') {
			return "kept"
		}
		runtime.Gosched()
	}
}

// execs waits until a child's thread has called execve, or its leader waits for a tracer
// to be let go.
func execs(pid int) string {
	for {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			return err.Error()
		}
		if string(comm) == "sleep\n" {
			return "done"
		}
		if state, tracer := stateOf(pid); tracer != 0 && state == 't' {
			return "held"
		}
		runtime.Gosched()
	}
}

// stateOf reads a leader's state, and who traces it.
func stateOf(pid int) (state byte, tracer int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":\t")
		switch name {
		case "State":
			state = value[0]
		case "TracerPid":
			tracer, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return state, tracer
}

// struct clone_args, <linux/sched.h>, as far as set_tid.
type cloneArgs struct {
	flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls uint64
	setTid                                                               *int32
	setTidSize                                                           uint64
}

// bear forks a child that blocks every signal and does nothing, under a number if one is
// wanted. It runs on this thread's copied stack and calls nothing but pause(2).
//
//go:norace
func bear(number int, flags uint64) (int, syscall.Errno) {
	tid := int32(number)
	args := cloneArgs{flags: flags, exitSignal: uint64(syscall.SIGCHLD)}
	if number != 0 {
		args.setTid, args.setTidSize = &tid, 1
	}
	var mask, old unix.Sigset_t
	for i := range mask.Val {
		mask.Val[i] = ^uint64(0)
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &mask, &old)
	pid, _, errno := syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	if errno == 0 && pid == 0 {
		_, _, _ = syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_PAUSE, 0, 0, 0)
		}
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	return int(pid), errno
}

// asThreaded makes TestThreadedChild a process that execs in a thread.
const asThreaded = "EMULATE_TEST_THREADED"

func bearThreaded() (int, io.Writer) {
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestThreadedChild$")
	cmd.Env = append(os.Environ(), asThreaded+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ready, err := cmd.StdoutPipe()
	var trigger io.WriteCloser
	if err == nil {
		trigger, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		panic(err)
	}
	_, _ = ready.Read(make([]byte, 1))
	pid := cmd.Process.Pid
	_ = cmd.Process.Release()
	return pid, trigger
}

// TestThreadedChild is that process: it execs at a byte, in a thread that is not the leader.
func TestThreadedChild(*testing.T) {
	if os.Getenv(asThreaded) == "" {
		return
	}
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // keep this one, take another
		done := make(chan bool)
		go func() { TestThreadedChild(nil); close(done) }()
		<-done
	}
	fmt.Print("r")
	_, _ = os.Stdin.Read(make([]byte, 1))
	panic(syscall.Exec("/bin/sleep", []string{"sleep", "1000"}, nil))
}
