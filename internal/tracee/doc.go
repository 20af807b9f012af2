// Package tracee traces other processes from threads of a process that also has
// children to reap.
//
// Tracees belong to the thread that seized them. What keeps them apart from the children
// is __WNOTHREAD (kernel/exit.c, do_wait): the thread that reaps gets orphans and the
// children of ended threads, because it is the first of the process (find_new_reaper,
// find_alive_thread), and never the tracee of another thread. The exception is a child
// that a thread of ours traces: its stops and its end are then seen by the reaper as
// well. Held tells the reaper which those are.
//
// Read held.go, then set.go.
package tracee
