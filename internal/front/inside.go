package front

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// The descriptors of the init, and its words.
const (
	initAlive = 3 // ends when COMMAND has been reaped, or the supervisor has died
	initSaid  = 4

	initReady = "ready"
	initOther = "others are left"
)

// Init is the role of the init of COMMAND's pid namespace under Hooks.Protect: see enclose.go. It makes the namespace ready, reaps whoever loses its parent,
// and ends when nobody else is left: with it the kernel ends the namespace. It is
// inside, so it has nothing that is worth taking, and is under COMMAND's filter.
//
// The kernel spares an init the signals of its own namespace that it has no handler
// for, SIGKILL and SIGSTOP among them (kernel/signal.c, sig_task_ignored).
func Init() int {
	runtime.LockOSThread()
	children := make(chan os.Signal, 1)
	own, err := settleInside(children)
	if err != nil {
		say(err.Error())
		return ourFailure
	}
	say(initReady)
	alive := make(chan struct{})
	go func() {
		_, _ = unix.Read(initAlive, make([]byte, 1))
		close(alive)
	}()
	for {
		select {
		case <-children:
			reapOrphans()
			continue
		case <-alive:
		}
		break
	}
	waitForOthers(own, children)
	return 0
}

// reapOrphans reaps who has ended: nobody asks for their status.
func reapOrphans() (left bool) { return (&command{}).reapDead() }

func say(text string) { _, _ = unix.Write(initSaid, []byte(text)) }

// settleInside comes before anybody else is inside.
func settleInside(children chan os.Signal) (*proc.FS, error) {
	_ = os.WriteFile("/proc/self/comm", []byte(program), 0) // exec has named us "exe"
	if err := CloseInherited(initAlive, initSaid); err != nil {
		return nil, err
	}
	own, err := proc.Open()
	if err != nil {
		return nil, err
	}
	if !own.Detached() {
		return nil, errors.New("mount the new namespace's procfs: this container does not let a procfs be mounted: run pidfd-shim outside of it")
	}
	if err := renewProc(own); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl(PR_SET_DUMPABLE)", err)
	}
	signal.Notify(children, unix.SIGCHLD)
	for _, sig := range (everything &^ setOf(unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG)).signals() {
		if err := dispose(sig, sigDfl); err != nil {
			return nil, err
		}
	}
	return own, nil
}

// otherInterval is how often the namespace is looked at where nobody in it is our
// child: their end is told to others.
const otherInterval = 50 * time.Millisecond

// waitForOthers returns when nobody else is inside. Who moved into a namespace below
// has a number here, too.
func waitForOthers(own *proc.FS, children chan os.Signal) {
	for told := false; ; {
		ours := reapOrphans()
		if !othersInside(own) {
			return
		}
		if !told {
			say(initOther)
			told = true
		}
		var tick <-chan time.Time
		if !ours {
			tick = time.After(otherInterval)
		}
		select {
		case <-children:
		case <-tick:
		}
	}
}

// othersInside: where that cannot be seen, they are.
func othersInside(own *proc.FS) bool {
	others := false
	err := own.EachPid(func(pid int32) bool {
		others = pid != 1
		return !others
	})
	return err != nil || others
}

// renewProc takes everything that names an outer process out of our mount namespace,
// and mounts our own procfs where an outer one was. What is hidden below another
// mount stays; it is of no use to who has it (see dropTracing).
func renewProc(own *proc.FS) error {
	var places []mount
	passed := map[string]bool{}
	for {
		mounts, err := mountsOf(own)
		if err != nil {
			return err
		}
		m, found := lastOuter(mounts, passed)
		if !found {
			break
		}
		passed[m.id] = true
		if err := unix.Unmount(m.point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			continue
		}
		if m.kind == "proc" && m.root == "/" {
			places = append(places, m)
		}
	}
	done := map[string]bool{}
	for i := len(places) - 1; i >= 0; i-- { // the first ones were below the others
		m := places[i]
		if done[m.point] {
			continue
		}
		done[m.point] = true
		if err := unix.Mount("proc", m.point, "proc", m.flags, m.options); err != nil {
			return fmt.Errorf("mount the new namespace's procfs on %s: %w", m.point, err)
		}
	}
	return nil
}

// lastOuter is the youngest mount that names outer processes: a procfs, or a mount or
// pid namespace bound to a file. Our own procfs are not there yet.
func lastOuter(mounts []mount, passed map[string]bool) (mount, bool) {
	for i := len(mounts) - 1; i >= 0; i-- {
		if mounts[i].namesOuter() && !passed[mounts[i].id] {
			return mounts[i], true
		}
	}
	return mount{}, false
}
