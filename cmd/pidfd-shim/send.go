package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

func newSendCommand() *cobra.Command {
	var value int64
	var thread, group bool
	cmd := &cobra.Command{
		Use:   "send [--queue N] [--thread] [--group] SIGNAL TARGET...",
		Short: "Signal processes through a stable handle",
		Long: `Open each TARGET, a pid or a /proc/PID directory, and signal what was opened: if the
process ends meanwhile and another gets its number, that other one is not hit. Signal 0
only asks whether the target exists and may be signalled.

On a kernel without pidfd_send_signal the signal goes out by number. The target is held
by ptrace meanwhile, where it may be traced; else it is looked at right before.`,
		Example: "  pidfd-shim send SIGTERM 4711\n" +
			"  pidfd-shim send --queue 7 SIGRTMIN+3 /proc/4711",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			sig, err := arch.ParseSignal(args[0])
			if err != nil {
				return usageError{err}
			}
			if thread && group {
				return usageError{errors.New("read flags of send: --thread and --group exclude each other")}
			}
			m := message{sig: sig, scope: scopeOf(thread, group)}
			if cmd.Flags().Changed("queue") {
				if value < math.MinInt32 || value > math.MaxUint32 {
					return usageError{fmt.Errorf("read --queue %d: si_value as an int has 32 bits", value)}
				}
				m.queue(uint32(value))
			}
			return m.sendAll(cmd, args[1:])
		},
	}
	cmd.ValidArgsFunction = completeArgs{words: signalNames()}.complete
	cmd.Flags().Int64Var(&value, "queue", 0, "send `N` along as si_value, as sigqueue(3) does")
	cmd.Flags().BoolVar(&thread, "thread", false, "signal the one thread whose tid TARGET is, not its process")
	cmd.Flags().BoolVar(&group, "group", false, "signal the process group whose leader TARGET is")
	return cmd
}

// message is a signal as it was asked for.
type message struct {
	sig   int32
	scope uint32 // one flag of pidfd_send_signal, or 0: the process
	info  *[arch.SiginfoSize]byte
}

func scopeOf(thread, group bool) uint32 {
	switch {
	case thread:
		return unix.PIDFD_SIGNAL_THREAD
	case group:
		return unix.PIDFD_SIGNAL_PROCESS_GROUP
	}
	return 0
}

// queue makes it a signal with a value, from us.
func (m *message) queue(value uint32) {
	record := arch.NewSiginfo(m.sig, 0, arch.SI_QUEUE)
	record.SetSender(int32(os.Getpid()), uint32(os.Getuid()))
	info := record.Native()
	binary.LittleEndian.PutUint32(info[24:], value) // sival_int
	m.info = &info
}

// sendAll sends to each target and goes on after a failure, one line each.
func (m *message) sendAll(cmd *cobra.Command, targets []string) error {
	failed := false
	for _, name := range targets {
		if err := m.sendTo(name); err != nil {
			cmd.PrintErrf("pidfd-shim: send %s to %s: %v\n", arch.SignalName(m.sig), name, err)
			failed = true
		}
	}
	if failed {
		return exitStatus(statusFailed)
	}
	return nil
}

func (m *message) sendTo(name string) error {
	dir, err := openTarget(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = sys.Err(sys.PidfdSendSignal(int(dir.Fd()), m.sig, m.info, m.scope))
	switch {
	case errors.Is(err, unix.EBADF):
		return errNotProcess
	case errors.Is(err, unix.ENOSYS): // before 5.1
		return m.sendByNumber(dir)
	case errors.Is(err, unix.EINVAL) && kernel.SignalFlags()&m.scope != m.scope: // before 6.9
		return m.sendByNumber(dir)
	}
	return explain(err)
}

var errNotProcess = errors.New("not the directory of a process in a procfs")

// openTarget opens a process's directory in a procfs: a handle of that process.
func openTarget(name string) (*os.File, error) {
	if pid, err := strconv.ParseUint(name, 10, 31); err == nil && pid > 0 {
		name = "/proc/" + strconv.FormatUint(pid, 10)
	} else if name == "" || name[0] != '/' {
		return nil, errors.New("neither a pid nor a path such as /proc/4711")
	}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, errors.New("no such process")
	}
	if errors.Is(err, unix.ENOTDIR) {
		return nil, errNotProcess
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.PROC_SUPER_MAGIC {
		unix.Close(fd)
		return nil, errNotProcess
	}
	return os.NewFile(uintptr(fd), name), nil
}

// explain puts into words what a sender can do something about.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return errors.New("no such process")
	case errors.Is(err, unix.ENOENT): // a directory without status
		return errNotProcess
	case errors.Is(err, unix.EAGAIN):
		return errors.New("its queue is full (RLIMIT_SIGPENDING)")
	}
	return err
}
