package tests

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestReaderEndsWithItsSupervisor: a reader that reads memory which never answers is not
// left behind when nobody waits for it any more.
func TestReaderEndsWithItsSupervisor(t *testing.T) {
	pid, address := unansweredMemory(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "reader")
	reader := exec.Command(buildShim(t), "__reader")
	reader.ExtraFiles = []*os.File{theirs}
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	question := binary.LittleEndian.AppendUint64(nil, uint64(pid))
	question = binary.LittleEndian.AppendUint64(question, address)
	if _, err := unix.Write(fds[0], question); err != nil {
		t.Fatal(err)
	}
	awaitBlocked(t, reader.Process.Pid)
	_ = unix.Close(fds[0])
	ended := make(chan error, 1)
	go func() { ended <- reader.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the reader ended with %v", err)
		}
	case <-time.After(agentDeadline):
		_ = reader.Process.Kill()
		t.Error("the reader is left behind")
	}
}

// awaitBlocked waits until a thread is in process_vm_readv.
func awaitBlocked(t *testing.T, pid int) {
	t.Helper()
	want := fmt.Sprintf("%d ", unix.SYS_PROCESS_VM_READV)
	for end := time.Now().Add(agentDeadline); ; runtime.Gosched() {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		for _, file := range files {
			if text, _ := os.ReadFile(file); strings.HasPrefix(string(text), want) {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("the reader does not read")
		}
	}
}

// unansweredMemory is a process with a page that userfaultfd never fills.
func unansweredMemory(t *testing.T) (pid int, address uint64) {
	t.Helper()
	const source = `
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {{(unsigned long)page, 4096}, UFFDIO_REGISTER_MODE_MISSING, 0};
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range))
		return 1;
	printf("%lu\n", (unsigned long)page);
	fflush(stdout);
	char byte;
	return read(0, &byte, 1) < 0;
}`
	bin := filepath.Join(t.TempDir(), "unanswered")
	build := exec.Command("gcc", "-w", "-o", bin, "-x", "c", "-")
	build.Stdin = strings.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	cmd := exec.Command(bin)
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
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if _, err := fmt.Fscan(bufio.NewReader(out), &address); err != nil {
		skip.If(t, fmt.Errorf("userfaultfd: %w", err))
	}
	return cmd.Process.Pid, address
}
