package task

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// Relative is a process on the way up, as it is held.
type Relative struct {
	ID
	fd  int       // a pidfd that can be asked
	dir *proc.Dir // else
}

// Hold takes a process by its number.
func (v *View) Hold(pid int32) (r Relative, err error) {
	r.Pid, r.fd = pid, -1
	if !v.Features.Info {
		r.dir, err = v.Proc.Dir(pid)
		return r, err
	}
	if r.fd, err = unix.PidfdOpen(int(pid), 0); err != nil {
		return r, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(r.fd, &st); err != nil {
		r.Close()
	}
	r.Unique = st.Ino
	return r, err
}

// Close lets go of it.
func (r *Relative) Close() {
	if r.dir != nil {
		_ = r.dir.Close()
		return
	}
	closeFD(r.fd)
}

// Parent asks the process whose child it is. No error: it has not been reaped, and so it
// has had its number ever since it is held.
func (r *Relative) Parent() (int32, error) {
	if r.dir != nil {
		var stat proc.Stat
		err := r.dir.Stat(&stat)
		r.Unique = stat.Start
		return stat.PPid, err
	}
	var info proc.Info
	err := proc.PidfdInfo(r.fd, &info)
	if err == nil && info.Pid != r.Pid {
		err = unix.ESRCH
	}
	return info.PPid, err
}

// Parent is whose child a process is, by its number.
func (v *View) Parent(pid int32) (int32, error) {
	r, err := v.Hold(pid)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return r.Parent()
}

// ID tells a process from a later one with its number.
type ID struct {
	Pid    int32
	Unique uint64 // inode of its pidfd, else when it began
}
