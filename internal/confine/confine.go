// Package confine takes from a process what the agent has no use for: capabilities, and
// system calls. Nothing of it can be undone. It confines the calling thread alone, since
// a thread's capabilities are its own: who wants a process confined does it on the main
// thread, which then executes its program again.
//
// There is no Landlock domain: in one, pidfd_getfd fails for root too (seen).
//
// Read capability.go and refused.go first, which are the lists.
package confine

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/notify"
)

// Thread confines the calling thread and all that it starts. network: sockets of IP may
// be made. Capabilities that it does not have it does not get.
func Thread(network bool) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl(PR_SET_NO_NEW_PRIVS)", err)
	}
	if err := limitBounding(kept()); err != nil {
		return err
	}
	if err := limitSets(kept()); err != nil {
		return err
	}
	return refuse(network)
}

// limitBounding keeps exec from giving root everything back. Without CAP_SETPCAP it
// stays as it is, and then it is no_new_privs alone that keeps exec from it
// (security/commoncap.c, cap_bprm_creds_from_file).
func limitBounding(kept uint64) error {
	for number := range 64 {
		if kept>>number&1 != 0 {
			continue
		}
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0)
		if err != nil { // EINVAL: past the kernel's last one
			return nil
		}
		if has == 0 {
			continue
		}
		err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(number), 0, 0, 0)
		if errors.Is(err, unix.EPERM) {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("prctl(PR_CAPBSET_DROP)", err)
		}
	}
	return nil
}

// limitSets lowers the other sets. The ambient set follows the inheritable one
// (capabilities(7)): what an agent without root was given so, its helpers have too.
func limitSets(kept uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for i, half := range []uint32{uint32(kept), uint32(kept >> 32)} {
		sets[i].Effective &= half
		sets[i].Permitted &= half
		sets[i].Inheritable &= half
	}
	return os.NewSyscallError("capset", unix.Capset(&header, &sets[0]))
}

// refuse installs the filters. What the first refuses is libc's way to make a thread, and
// it has another: hence ENOSYS, and not in the log. Its flags are in memory, so it could
// make namespaces unseen.
func refuse(network bool) error {
	for _, f := range []struct {
		refusals []notify.Refusal
		logged   bool
	}{
		{[]notify.Refusal{{Nr: unix.SYS_CLONE3, Errno: unix.ENOSYS}}, false},
		{refusals(network), true},
	} {
		program, err := notify.CompileRefusals(f.refusals)
		if err == nil {
			err = notify.InstallRefusals(program, f.logged)
		}
		if err != nil {
			return fmt.Errorf("refuse system calls: %w", err)
		}
	}
	return nil
}
