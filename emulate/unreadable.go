package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// callerMemory reads a thread's memory as the kernel would for the thread itself. It may be used
// by several goroutines at once.
type callerMemory struct {
	fs *proc.FS
}

const page = 4096

// Read copies what is readable, up to len(into): 0 bytes where nothing is.
//
// process_vm_readv(2) goes by what the program may do with a mapping, PROT_READ; the
// kernel's own copy goes by the page table, in which x86 has no page that can be written or
// executed and not read. So where the former fails the mapping is looked at; and where it is
// refused, by a filter around us, that is the only way.
func (m callerMemory) Read(tid int32, addr uint64, into []byte) (n int, err error) {
	for n < len(into) {
		got, errno := sys.ProcessVMReadv(tid, addr+uint64(n), into[n:])
		refused := errno == unix.ENOSYS || errno == unix.EPERM
		if errno != 0 && errno != unix.EFAULT && !refused {
			return 0, errno
		}
		n += got
		if n == len(into) {
			break
		}
		here := addr + uint64(n)
		rest := min(len(into)-n, int(page-here%page))
		got, err = m.readMapped(tid, here, into[n:n+rest], refused)
		switch {
		case err != nil && refused: // the kernel's own no
			return 0, errno
		case got == 0:
			return n, err
		}
		n += got
	}
	return n, nil
}

// readMapped reads within one page of a mapping that has no PROT_READ, but may be written
// or executed, or of any that may be read. /proc/TID/mem would read PROT_NONE, too.
func (m callerMemory) readMapped(tid int32, addr uint64, into []byte, readable bool) (int, error) {
	if m.fs == nil || addr >= 1<<47 {
		return 0, nil
	}
	dir, err := m.fs.Dir(tid)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	p, err := dir.Mapping(addr)
	if err != nil || p.Read && !readable || !p.Read && !p.Write && !(p.Execute && readsExecutable()) {
		return 0, err
	}
	fd, err := dir.Open("mem")
	if err != nil {
		return 0, err
	}
	defer closeFD(fd)
	n, err := unix.Pread(fd, into, int64(addr))
	return max(n, 0), ignoreUnreadable(err)
}

// ignoreUnreadable takes the errors of a page that nobody can read, as those of a mapping
// that is gone by now.
func ignoreUnreadable(err error) error {
	if err == unix.EIO || err == unix.EFAULT || err == unix.ENXIO { //nolint:errorlint // bare errnos only
		return nil
	}
	return err
}

// readsExecutable tells whether the kernel can read a page that may only be executed: not
// where it gives such pages a protection key of their own (pkeys(7)).
func readsExecutable() bool {
	at, err := unix.Mmap(-1, 0, page, unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return false
	}
	defer unix.Munmap(at) //nolint:errcheck // our own page
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return false
	}
	defer sys.Close(pipe[0])
	defer sys.Close(pipe[1])
	n, err := unix.Write(pipe[1], at[:1])
	return err == nil && n == 1
}
