package confine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

func init() { runtime.LockOSThread() } // Thread is for the main thread

// role is the variable that has this binary do something else than testing.
const role = "CONFINE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch word := os.Getenv(role); word {
	case "confine", "confine with network":
		err := Thread(word != "confine")
		if err == nil {
			err = syscall.Exec("/proc/self/exe", os.Args, []string{role + "=try"})
		}
		fmt.Println("confine:", err)
		os.Exit(1)
	case "try":
		tryAll()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// trial is a call with arguments for which the kernel has another answer than EPERM.
type trial struct {
	name string
	nr   uintptr
	args [3]uintptr
}

const none = ^uintptr(0) // no address, no descriptor, no process, unknown flags

// refusedTrials are calls that a confined process must not be able to make, each as wrong
// as can be: where they are not refused they do nothing.
func refusedTrials() []trial {
	var all []trial
	for _, group := range Refused {
		for _, nr := range group.Calls {
			all = append(all, trial{fmt.Sprintf("%s, call %d", group.Name, nr), uintptr(nr), [3]uintptr{none, none, none}})
		}
	}
	return append(all,
		trial{"a user namespace by clone", unix.SYS_CLONE, [3]uintptr{unix.CLONE_NEWUSER | unix.CLONE_SIGHAND, 0, 0}},
		trial{"a network namespace by clone", unix.SYS_CLONE, [3]uintptr{unix.CLONE_NEWNET | unix.CLONE_SIGHAND, 0, 0}},
		trial{"a socket of netlink", unix.SYS_SOCKET, [3]uintptr{unix.AF_NETLINK, none, 0}},
		trial{"a socket of the packet family", unix.SYS_SOCKET, [3]uintptr{unix.AF_PACKET, 77, 0}},
		trial{"memory to write and execute", unix.SYS_MMAP, [3]uintptr{0, 0, unix.PROT_WRITE | unix.PROT_EXEC}},
		trial{"memory made executable", unix.SYS_MPROTECT, [3]uintptr{1, 4096, unix.PROT_EXEC}},
		trial{"a call by x32's number", unix.SYS_GETUID | 0x40000000, [3]uintptr{}},
	)
}

// tryAll prints the errno of each, and what this process is.
func tryAll() {
	for _, tr := range refusedTrials() {
		_, _, errno := unix.RawSyscall6(tr.nr, tr.args[0], tr.args[1], tr.args[2], none, none, 0)
		fmt.Printf("%s: %d\n", tr.name, errno)
	}
	s, err := Of(os.Getpid())
	fmt.Printf("state: %+v %v\n", s, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	_ = unix.Close(fd)
	fmt.Println("IP:", err)
	// What agents do: threads by libc, processes, pipes, sockets, anonymous memory.
	for range 20 {
		done := make(chan bool)
		go func() { runtime.LockOSThread(); close(done) }()
		<-done
	}
	out, err := exec.Command("/bin/sh", "-c", "grep -E '^(Cap(Eff|Prm|Bnd)|Seccomp|NoNewPrivs)' /proc/self/status | tr '\\n' ' '").Output()
	fmt.Printf("a child's: %s %v\n", out, err)
}

func try(t *testing.T, word string, wrap ...string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := append(wrap, self)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{role + "=" + word}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // vhangup would take our terminal
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// Every call of the lists is refused, whatever the capabilities; and by the filter, for
// without it the kernel's answers are others.
func TestRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.If(t, errors.New("not root: the kernel would refuse most of it anyway"))
	}
	trials := refusedTrials()
	native, confined := try(t, "try"), try(t, "confine")
	differ := 0
	for i, tr := range trials {
		if confined[i] != tr.name+": 1" {
			t.Errorf("%s, want 1 (EPERM)", confined[i])
		}
		if native[i] != confined[i] {
			differ++
		}
	}
	if differ < len(trials)*2/3 {
		t.Errorf("only %d of %d calls have another answer natively:\n%s", differ, len(trials), strings.Join(native, "\n"))
	}
}

// What is left is left in every thread and for every child.
func TestLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.If(t, errors.New("not root"))
	}
	ours, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	set := ours.Permitted & kept()
	for word, ip := range map[string]string{"confine": "IP: operation not permitted", "confine with network": "IP: <nil>"} {
		lines := try(t, word)
		for _, want := range []string{
			fmt.Sprintf("Effective:%d Permitted:%d Bounding:%d NoNewPrivs:true Filtered:true} <nil>", set, set, ours.Bounding&kept()),
			fmt.Sprintf("CapPrm:\t%016x CapEff:\t%016x CapBnd:\t%016x NoNewPrivs:\t1 Seccomp:\t2", set, set, ours.Bounding&kept()),
			ip,
		} {
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
				t.Errorf("%s: nothing says %q:\n%s", word, want, strings.Join(lines[len(refusedTrials()):], "\n"))
			}
		}
	}
}

// As the systemd unit and the pod start it: without CAP_SETPCAP the bounding set stays,
// and still no child has anything back.
func TestLeftWithoutSetpcap(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.If(t, errors.New("not root"))
	}
	ours, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	set, bounding := ours.Permitted&kept(), ours.Bounding&^(1<<unix.CAP_SETPCAP)
	lines := try(t, "confine", "setpriv", "--bounding-set", "-setpcap")
	want := fmt.Sprintf("CapPrm:\t%016x CapEff:\t%016x CapBnd:\t%016x NoNewPrivs:\t1 Seccomp:\t2", set, set, bounding)
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
		t.Errorf("no child has %q:\n%s", want, strings.Join(lines[len(refusedTrials()):], "\n"))
	}
}

// The set in numbers: CAP_DAC_READ_SEARCH is 2, CAP_KILL 5, CAP_SYS_PTRACE 19.
func TestKept(t *testing.T) {
	if kept() != 0x80024 {
		t.Errorf("%#x", kept())
	}
	want := []string{"CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_KILL", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE", "CAP_41", "CAP_63"}
	if got := Names(1 | 0x80024 | 1<<21 | 1<<40 | 1<<41 | 1<<63); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What must be among the refused, whoever shortens the lists.
func TestRefusedHasTheWorst(t *testing.T) {
	listed := map[uint32]bool{}
	for _, r := range refusals(true) {
		if len(r.When) == 0 {
			listed[r.Nr] = true
		}
	}
	for name, nr := range map[string]uint32{
		"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "fsopen": 430, "move_mount": 429, "mount_setattr": 442,
		"unshare": 272, "setns": 308, "init_module": 175, "finit_module": 313, "delete_module": 176, "bpf": 321,
		"kexec_load": 246, "kexec_file_load": 320, "reboot": 169, "swapon": 167, "iopl": 172, "ioperm": 173,
		"perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "keyctl": 250, "open_by_handle_at": 304,
		"personality": 135, "process_vm_writev": 311, "clock_settime": 227, "settimeofday": 164, "syslog": 103, "acct": 163,
	} {
		if !listed[nr] {
			t.Errorf("%s, %d, is not refused", name, nr)
		}
	}
	byArguments := map[uint32]bool{}
	for _, r := range refusedArguments(true) {
		byArguments[r.Nr] = true
	}
	if len(byArguments) != CallsByArguments {
		t.Errorf("%d calls are refused by their arguments, doctor says %d", len(byArguments), CallsByArguments)
	}
}

func TestState(t *testing.T) {
	s := State{NoNewPrivs: true, Filtered: true}
	thread := func(caps, nnp, mode string) string {
		return "Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t" + caps + "\nCapEff:\t" + caps + "\nCapBnd:\t" + caps + "\nNoNewPrivs:\t" + nnp + "\nSeccomp:\t" + mode + "\nSeccomp_filters:\t2\n"
	}
	for _, text := range []string{thread("0000000000000020", "1", "2"), thread("0000000000000004", "1", "2")} {
		if err := s.add(text); err != nil {
			t.Fatal(err)
		}
	}
	if want := (State{2, 0x24, 0x24, 0x24, true, true}); s != want || !s.Confined() {
		t.Errorf("%+v, want %+v", s, want)
	}
	if m := s.Missing(); len(m) != 1 || m[0].Name() != "CAP_SYS_PTRACE" {
		t.Errorf("missing: %+v", m)
	}
	for _, one := range []string{thread("0000000000200020", "1", "2"), thread("0000000000000020", "1", "0")} {
		other := s
		if err := other.add(one); err != nil || other.Confined() {
			t.Errorf("confined with one thread as %q: %v", one, err)
		}
	}
	if err := s.add("CapEff:\tx\n"); err == nil {
		t.Error("a set that is no number")
	}
	if s.add("CapEff:\t0\n"); s.NoNewPrivs || s.Filtered { //nolint:errcheck // looked at above
		t.Error("a thread of which nothing is known counts as confined")
	}
}
