//go:build kernels

package tests

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vmDeadline is for everything that one machine does.
const vmDeadline = 2 * time.Hour

// vmFile is a file of the initramfs and where it comes from.
type vmFile struct{ path, source string }

// ranJob is what vminit says of a job.
type ranJob struct {
	stdout, stderr string
	kept           string // of the file that it was to leave behind
	seconds, end   string // "" and "" if it was not run
}

// bootVM boots an image and returns what its jobs did, by name. It boots once: a
// machine that does not come up, or goes away, has failed. With KERNELS_AGAIN it boots
// nothing: what the machine reported last time is judged again.
func bootVM(t *testing.T, image, name string, files []vmFile, jobs []vmJob, cpus int) map[string]ranJob {
	t.Helper()
	base := filepath.Join(mustBuildDir(t), name)
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if os.Getenv("KERNELS_AGAIN") == "" {
		writeInitramfs(t, base+".cpio", files, encodeJobs(t, jobs))
		err = machine{image: image, base: base, cpus: cpus, memory: "1G", line: bootLine}.run(t)
	}
	ran, readErr := readJobs(base + ".out")
	if err = errors.Join(err, readErr); err != nil {
		console, _ := os.ReadFile(base + ".console")
		t.Errorf("%s: %v\nthe end of build/%s.console: %s", name, err, name, tail(string(console), 3000))
	}
	return ran
}

// bootLine is the kernels' command line. The check whether timer interrupts come takes
// four ticks of a clock that goes on while an emulated machine waits for its processor:
// on a busy host it finds none and panics. Debian's kernels that have the x32 ABI keep it
// off without syscall.x32; others do not know the word.
const bootLine = "console=ttyS0 panic=-1 quiet no_timer_check syscall.x32=y"

// machine is what QEMU emulates. Its first file system is BASE.cpio, what it says goes to
// BASE.console and what it sends to BASE.out.
type machine struct {
	image, base  string
	cpus         int
	memory, line string
	accel        string // "": emulated, which is what every host can do
}

// run boots it and returns when it has turned itself off.
func (m machine) run(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), vmDeadline)
	defer cancel()
	if err := os.RemoveAll(m.base + ".out"); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", cmp.Or(m.accel, "tcg"), "-cpu", "max",
		"-smp", strconv.Itoa(m.cpus), "-m", m.memory, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", m.image, "-initrd", m.base+".cpio", "-append", m.line,
		"-serial", "file:"+m.base+".console", "-serial", "file:"+m.base+".out").CombinedOutput()
	if err != nil {
		return fmt.Errorf("qemu-system-x86_64: %w: %s", errors.Join(err, ctx.Err()), out)
	}
	return nil
}

// vmCPUs is how many processors a machine gets: two, so that what races does, but one
// where two are known not to pay. Of two without a host's processor each, one spins while
// the other that it waits for does not run: the same rows took 10 to 45 seconds on a busy
// host with two, against 10 to 16. And QEMU before 10 without KVM lets Linux 6.12 panic in
// about every second boot with two; neither older kernels nor 7.2 do. KERNELS_CPUS
// overrides it.
func vmCPUs(t *testing.T, number version) int {
	t.Helper()
	if cpus, err := strconv.Atoi(os.Getenv("KERNELS_CPUS")); err == nil {
		return cpus
	}
	if runtime.NumCPU() < 4 {
		return 1
	}
	if !number.before(version{6, 2}) && number.before(version{7, 2}) && qemuVersion(t).before(version{10, 0}) {
		return 1
	}
	return 2
}

func qemuVersion(t *testing.T) version {
	t.Helper()
	out, err := exec.Command("qemu-system-x86_64", "--version").Output()
	var v version
	if _, scanErr := fmt.Sscanf(string(out), "QEMU emulator version %d.%d", &v.major, &v.minor); err != nil || scanErr != nil {
		t.Fatalf("qemu-system-x86_64 --version: %v: %q", errors.Join(err, scanErr), out)
	}
	return v
}

// readJobs reads vminit's packed archive; of one that breaks off, what is there.
func readJobs(path string) (map[string]ranJob, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	packed, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	ran := map[string]ranJob{}
	for entries := tar.NewReader(packed); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return ran, nil
		}
		if err != nil {
			return ran, fmt.Errorf("the machine's report breaks off: %w", err)
		}
		text, err := io.ReadAll(entries)
		if err != nil {
			return ran, fmt.Errorf("the machine's report breaks off: %w", err)
		}
		name, part := filepath.Split(header.Name)
		name = strings.TrimSuffix(name, "/")
		job := ran[name]
		switch part {
		case "stdout":
			job.stdout = string(text)
		case "stderr":
			job.stderr = string(text)
		case "kept":
			job.kept = string(text)
		case "end":
			job.seconds, job.end, _ = strings.Cut(string(text), " ")
		}
		ran[name] = job
	}
}

// writeInitramfs writes the files, and /jobs, as an archive of the kernel's "newc" kind
// (Documentation/driver-api/early-userspace/buffer-format.rst).
func writeInitramfs(t *testing.T, path string, files []vmFile, jobs []byte) {
	t.Helper()
	var archive bytes.Buffer
	add := func(name string, mode, major, minor int, text []byte) {
		// magic, ino, mode, uid, gid, nlink, mtime, size, device, its own device, name's length, sum
		fmt.Fprintf(&archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			archive.Len(), mode, 0, 0, 1, 0, len(text), 0, 0, major, minor, len(name)+1, 0, name)
		align(&archive)
		archive.Write(text)
		align(&archive)
	}
	for _, dir := range dirsOf(files) {
		add(dir, 0o040755, 0, 0, nil)
	}
	add("dev/console", 0o020600, 5, 1, nil) // the kernel opens it before init mounts anything
	add("jobs", 0o100644, 0, 0, jobs)
	for _, file := range files {
		text, err := os.ReadFile(file.source)
		if err != nil {
			t.Fatal(err)
		}
		add(file.path, 0o100755, 0, 0, text)
	}
	add("TRAILER!!!", 0, 0, 0, nil)
	if err := os.WriteFile(path, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// dirsOf are the directories that the files need, parents first.
func dirsOf(files []vmFile) []string {
	dirs := []string{"dev", "bin", "proc", "sys", "tmp"}
	for _, file := range files {
		for dir := filepath.Dir(file.path); dir != "."; dir = filepath.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func align(b *bytes.Buffer) { b.Write(make([]byte, -b.Len()&3)) }

// imageVersion reads a release out of a bzImage: Documentation/arch/x86/boot.rst,
// kernel_version, which counts from the second sector.
func imageVersion(path string) (release string, number version, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", version{}, err
	}
	defer f.Close()
	head := make([]byte, 32<<10)
	if _, err := io.ReadFull(f, head); err != nil {
		return "", version{}, fmt.Errorf("%s: %w", path, err)
	}
	at := int(binary.LittleEndian.Uint16(head[0x20e:])) + 0x200
	if string(head[0x202:0x206]) != "HdrS" || at >= len(head) {
		return "", version{}, fmt.Errorf("%s is no bzImage", path)
	}
	release, _, _ = strings.Cut(string(head[at:]), " ")
	if _, err := fmt.Sscanf(release, "%d.%d", &number.major, &number.minor); err != nil {
		return "", version{}, fmt.Errorf("%s: release %q: %w", path, release, err)
	}
	return release, number, nil
}
