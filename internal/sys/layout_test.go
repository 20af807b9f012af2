package sys

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestLayout is what a C compiler says of the headers.
func TestLayout(t *testing.T) {
	var (
		sizes SeccompNotifSizes
		resp  SeccompNotifResp
		call  PtraceSyscallInfo
		info  PidfdInfo
		query ProcmapQuery
		owner fownerEx
	)
	for name, pair := range map[string][2]uintptr{
		"sizeof(struct seccomp_notif_sizes)": {unsafe.Sizeof(sizes), 6},
		"seccomp_notif_sizes.seccomp_notif":  {unsafe.Offsetof(sizes.Notif), 0},
		"seccomp_notif_sizes.resp":           {unsafe.Offsetof(sizes.Resp), 2},
		"seccomp_notif_sizes.seccomp_data":   {unsafe.Offsetof(sizes.Data), 4},
		"sizeof(struct seccomp_notif_resp)":  {unsafe.Sizeof(resp), 24},
		"seccomp_notif_resp.id":              {unsafe.Offsetof(resp.ID), 0},
		"seccomp_notif_resp.val":             {unsafe.Offsetof(resp.Val), 8},
		"seccomp_notif_resp.error":           {unsafe.Offsetof(resp.Error), 16},
		"seccomp_notif_resp.flags":           {unsafe.Offsetof(resp.Flags), 20},
		"sizeof(struct sock_filter)":         {unsafe.Sizeof(unix.SockFilter{}), 8},
		"sizeof(struct sock_fprog)":          {unsafe.Sizeof(unix.SockFprog{}), 16},
		"ptrace_syscall_info.seccomp":        {unsafe.Offsetof(call.Nr), 24},
		"ptrace_syscall_info.ret_data":       {unsafe.Offsetof(call.RetData), 80},
		"sizeof(struct ptrace_syscall_info)": {unsafe.Sizeof(call), 88},
		"sizeof(struct pidfd_info), 6.13":    {unsafe.Sizeof(info), 64},
		"pidfd_info.mask":                    {unsafe.Offsetof(info.Mask), 0},
		"pidfd_info.cgroupid":                {unsafe.Offsetof(info.CgroupID), 8},
		"pidfd_info.pid":                     {unsafe.Offsetof(info.Pid), 16},
		"pidfd_info.tgid":                    {unsafe.Offsetof(info.Tgid), 20},
		"pidfd_info.ppid":                    {unsafe.Offsetof(info.PPid), 24},
		"pidfd_info.ruid":                    {unsafe.Offsetof(info.IDs), 28},
		"pidfd_info.exit_code":               {unsafe.Offsetof(info.ExitCode), 60},
		"sizeof(struct procmap_query)":       {unsafe.Sizeof(query), 104},
		"procmap_query.query_addr":           {unsafe.Offsetof(query.Addr), 16},
		"procmap_query.vma_flags":            {unsafe.Offsetof(query.VMAFlags), 40},
		"sizeof(struct f_owner_ex)":          {unsafe.Sizeof(owner), 8},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %d here, %d in C", name, pair[0], pair[1])
		}
	}
}

// TestConstants are those that x/sys has for another size of a struct, or that it has by now.
func TestConstants(t *testing.T) {
	if PIDFD_GET_INFO&^(0x3fff<<16) != unix.PIDFD_GET_INFO&^(0x3fff<<16) || PIDFD_GET_INFO>>16&0x3fff != unix.PIDFD_INFO_SIZE_VER0 {
		t.Errorf("PIDFD_GET_INFO %#x, x/sys has %#x", PIDFD_GET_INFO, unix.PIDFD_GET_INFO)
	}
	if PROCMAP_QUERY>>16&0x3fff != unsafe.Sizeof(ProcmapQuery{}) {
		t.Errorf("PROCMAP_QUERY %#x", PROCMAP_QUERY)
	}
	for name, pair := range map[string][2]int{
		"SECCOMP_IOCTL_NOTIF_ID_VALID": {unix.SECCOMP_IOCTL_NOTIF_ID_VALID, 0x40082102},
		"SECCOMP_IOCTL_NOTIF_RECV":     {unix.SECCOMP_IOCTL_NOTIF_RECV, 0xc0502100},
		"SECCOMP_IOCTL_NOTIF_SEND":     {unix.SECCOMP_IOCTL_NOTIF_SEND, 0xc0182101},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %#x, in C %#x", name, pair[0], pair[1])
		}
	}
}

// TestWaitidOfNobody: of no child there is nothing to say.
func TestWaitidOfNobody(t *testing.T) {
	if child, errno := Waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG|unix.WNOTHREAD); errno != unix.ECHILD || child != (Child{}) {
		t.Errorf("got %+v, %v", child, errno)
	}
}

// TestChild tells a stop, which has a wait status, from an end.
func TestChild(t *testing.T) {
	stop := Child{Tid: 1, Code: 4, Status: int32(unix.SIGTRAP | unix.PTRACE_EVENT_EXIT<<8)}
	if status := stop.WaitStatus(); !stop.Stopped() || !status.Stopped() || status.StopSignal() != unix.SIGTRAP || uint32(status)>>16 != unix.PTRACE_EVENT_EXIT {
		t.Errorf("a stop is %#x", uint32(status))
	}
	if end := (Child{Tid: 1, Code: 2, Status: 9}); end.Stopped() || end.WaitStatus() != 0 {
		t.Errorf("an end is %#x", uint32(end.WaitStatus()))
	}
}

// TestCallsAllocateNothing: each of them may be on the way of a call.
func TestCallsAllocateNothing(t *testing.T) {
	var info [128]byte
	allocations := testing.AllocsPerRun(100, func() {
		_ = PidfdSendSignal(-1, 0, &info, 0)
		_ = RtSigqueueinfo(0, -1, &info)
		_, _ = ProcessVMReadv(1<<30, 0, info[:])
		_, _ = PtraceGetSigmask(1 << 30)
		_ = PtraceSetSigmask(1<<30, 0)
		_, _ = PtraceEventMsg(1 << 30)
		_, _ = Waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG|unix.WNOTHREAD)
		_ = SeccompNotifSend(-1, &SeccompNotifResp{})
		_ = EffectiveCaps(0)
		_, _ = Kcmp(0, 0, KCMP_FILES, 0, 0)
		_ = PidfdGetInfo(-1, &PidfdInfo{})
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
