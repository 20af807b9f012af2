package proc

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// NSID names a namespace as long as somebody holds it open.
type NSID struct{ Dev, Ino uint64 }

// NS names the process's namespace of a kind: "pid", "user", ... Those two also
// answer for a zombie.
func (d *Dir) NS(name string) (NSID, error) {
	fd, err := d.OpenNS(name)
	if err != nil {
		return NSID{}, err
	}
	defer unix.Close(fd)
	return NSOf(fd)
}

// OpenNS opens the process's namespace of a kind. The caller closes the descriptor.
//
// Such a file can only be opened through its link, which may be mounted over like
// any other (move_mount). So the link itself is opened first, safely, and what the
// open then gives must be the namespace that the link names.
func (d *Dir) OpenNS(name string) (int, error) {
	link, err := d.link("ns/" + name)
	if err != nil {
		return -1, d.gone(err)
	}
	defer unix.Close(link)
	text, err := readlink(link)
	if err != nil {
		return -1, d.gone(err)
	}
	fd, err := unix.Openat(d.fd, "ns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, d.gone(err)
	}
	if !isNamespace(fd, text) {
		unix.Close(fd)
		return -1, unix.EXDEV
	}
	return fd, nil
}

// isNamespace compares fd with a link's text, "pid:[4026531836]".
func isNamespace(fd int, text string) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return false
	}
	_, number, _ := strings.Cut(text, ":[")
	ino, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	id, statErr := NSOf(fd)
	return err == nil && statErr == nil && ino == id.Ino
}

// NSOf names the namespace that fd is open on.
func NSOf(fd int) (NSID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return NSID{}, os.NewSyscallError("fstat", err)
	}
	return NSID{Dev: st.Dev, Ino: st.Ino}, nil
}

// NSParent opens the parent of a pid or user namespace. EPERM: it has none, or none
// that we may see, being above our own. The caller closes the descriptor.
func NSParent(fd int) (int, error) { return nsIoctl(fd, unix.NS_GET_PARENT, 0) }

// NSOwnerUID is the uid that made a user namespace, as our own one numbers it.
func NSOwnerUID(fd int) (uint32, error) {
	uid, err := unix.IoctlGetUint32(fd, unix.NS_GET_OWNER_UID)
	return uid, err
}

// The directions are the words of <linux/nsfs.h>: FROM takes a number of the namespace and gives
// ours, IN takes ours and gives the namespace's. Since 6.12, and in stable kernels before.

// PidFromPidns gives our number of the thread that is pid in the namespace nsfd.
// ESRCH: none, or not visible to us. ENOTTY: the kernel lacks it.
func PidFromPidns(nsfd int, pid int32) (int32, error) {
	return nsPid(nsfd, unix.NS_GET_PID_FROM_PIDNS, pid)
}

// PidInPidns gives the number, in the namespace nsfd, of the thread that is pid to us.
func PidInPidns(nsfd int, pid int32) (int32, error) {
	return nsPid(nsfd, unix.NS_GET_PID_IN_PIDNS, pid)
}

// nsIoctl makes a request whose argument is a value and whose result is the return value. Errors
// are bare errnos: they are answers.
func nsIoctl(fd int, request, value uintptr) (int, error) {
	n, errno := sys.IoctlValue(fd, request, value)
	return n, sys.Err(errno)
}

func nsPid(fd int, request uintptr, pid int32) (int32, error) {
	if pid <= 0 {
		return 0, unix.ESRCH
	}
	n, err := nsIoctl(fd, request, uintptr(pid))
	if err != nil {
		return 0, err
	}
	return int32(n), nil
}
