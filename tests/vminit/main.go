// Command vminit is process 1 of the machines that make kernels boots: it runs the
// jobs listed in /jobs, sends what they printed down the second serial port and turns
// the machine off. It decides nothing; tests/kernels_test.go does.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Job is one command of the file /jobs, which is a JSON array. Keep is a file that it
// leaves behind and that is to be sent too; "" is none.
type Job struct {
	Name    string
	Argv    []string
	Seconds int
	Keep    string
}

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "vminit: only for a virtual machine")
		os.Exit(1)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vminit:", err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	text, err := os.ReadFile("/jobs")
	if err != nil {
		return err
	}
	var jobs []Job
	if err := json.Unmarshal(text, &jobs); err != nil {
		return fmt.Errorf("/jobs: %w", err)
	}
	port, err := openPort("/dev/ttyS1")
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(port)
	entries := tar.NewWriter(packed)
	for _, job := range jobs {
		if err := errors.Join(report(entries, job), entries.Flush(), packed.Flush()); err != nil {
			return err
		}
	}
	err = errors.Join(entries.Close(), packed.Close())
	// TCSBRK with an argument waits until all has been sent: tcdrain(3).
	return errors.Join(err, unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, 1), port.Close())
}

func mountAll() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return &os.PathError{Op: "mount " + m.kind, Path: m.at, Err: err}
		}
	}
	return os.Chmod("/tmp", 0o1777)
}

// openPort opens a serial port for bytes as they are.
func openPort(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	port := os.NewFile(uintptr(fd), path)
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, os.NewSyscallError("ioctl(TCGETS)", err)
	}
	settings.Oflag &^= unix.OPOST
	settings.Lflag &^= unix.ECHO | unix.ICANON
	settings.Cflag = settings.Cflag&^unix.CBAUD | unix.B115200
	return port, os.NewSyscallError("ioctl(TCSETS)", unix.IoctlSetTermios(fd, unix.TCSETS, settings))
}

// report runs a job and writes NAME/stdout, NAME/stderr, NAME/kept and NAME/end.
func report(entries *tar.Writer, job Job) error {
	began := time.Now()
	stdout, stderr, err := runJob(job)
	took := time.Since(began).Seconds()
	end := fmt.Sprintf("%.1f ok", took)
	if err != nil {
		end = fmt.Sprintf("%.1f %v", took, err)
	}
	fmt.Fprintln(os.Stderr, "vminit:", job.Name, end)
	return errors.Join(add(entries, job.Name+"/stdout", stdout), add(entries, job.Name+"/stderr", stderr),
		add(entries, job.Name+"/kept", takeKept(job.Keep)), add(entries, job.Name+"/end", []byte(end)))
}

// runJob runs a job in a process group of its own, its output through files: with
// pipes, a job that leaves a child behind would be waited for.
func runJob(job Job) (stdout, stderr []byte, err error) {
	out, err := os.CreateTemp("/tmp", "out")
	if err != nil {
		return nil, nil, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	problems, err := os.CreateTemp("/tmp", "err")
	if err != nil {
		return nil, nil, err
	}
	defer os.Remove(problems.Name())
	defer problems.Close()
	cmd := exec.Command(job.Argv[0], job.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, problems
	cmd.Dir = "/tmp"
	cmd.Env = []string{"PATH=/bin:/usr/bin", "HOME=/", "TERM=dumb", "TMPDIR=/tmp"}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	alarm := time.AfterFunc(time.Duration(job.Seconds)*time.Second, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !alarm.Stop() {
		err = fmt.Errorf("not over after %d seconds: %w", job.Seconds, err)
	}
	stdout, readErr := readAll(out)
	stderr, againErr := readAll(problems)
	return stdout, stderr, errors.Join(err, readErr, againErr)
}

// takeKept reads the file and removes it: a job that wrote none has kept nothing.
func takeKept(path string) []byte {
	if path == "" {
		return nil
	}
	defer os.Remove(path)
	text, _ := os.ReadFile(path)
	return text
}

func readAll(f *os.File) ([]byte, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

func add(entries *tar.Writer, name string, text []byte) error {
	if err := entries.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err := io.Copy(entries, bytes.NewReader(text))
	return err
}
