package kernel

import "golang.org/x/sys/unix"

// OwnWait are options of wait4 and waitid for threads of ours that are under the filter of
// their COMMAND, where every other wait may be a tracer's to see. With __WALL, __WCLONE means
// nothing (wait(2)), so nobody else gives both.
const OwnWait = unix.WALL | unix.WCLONE
