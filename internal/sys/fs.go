package sys

import (
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ProcmapQuery is struct procmap_query, <linux/fs.h> since 6.11:
//
//	__u64 size, query_flags, query_addr;                                          in
//	__u64 vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;        out
//	__u32 dev_major, dev_minor, vma_name_size, build_id_size;
//	__u64 vma_name_addr, build_id_addr;
type ProcmapQuery struct {
	_ structs.HostLayout

	Size, Flags, Addr uint64

	start, end uint64
	VMAFlags   uint64

	pageSize, offset, inode      uint64
	major, minor, nameSize, idSz uint32
	nameAddr, idAddr             uint64
}

// <linux/fs.h>; x/sys lacks them.
const (
	PROCMAP_QUERY                = 0xc0686611 // _IOWR('f', 17, 104 bytes)
	PROCMAP_QUERY_VMA_READABLE   = 1 << 0
	PROCMAP_QUERY_VMA_WRITABLE   = 1 << 1
	PROCMAP_QUERY_VMA_EXECUTABLE = 1 << 2
)

// QueryMap is ioctl(PROCMAP_QUERY). It waits for whoever changes the process's mappings.
//
// Precondition: fd is a maps file of procfs.
func QueryMap(fd int, query *ProcmapQuery) unix.Errno {
	query.Size = uint64(unsafe.Sizeof(*query))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), PROCMAP_QUERY, uintptr(unsafe.Pointer(query)))
	return errno
}
