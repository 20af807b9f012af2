package born

/*
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned long long born_mask, born_ignored;
int born_closed;

// As the kernel has it; glibc's sigaction refuses 32 and 33.
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long long mask;
};

// The last step to COMMAND where a signal has to be ignored that the supervisor
// cannot ignore: PROGRAM __exec SIGNALS PATH ARGV0 [ARG...]
static void exec_ignoring(char **argv, char **envp) {
	unsigned long long set = strtoull(argv[2], NULL, 16);
	for (int sig = 1; sig <= 64; sig++)
		if (set >> (sig - 1) & 1)
			signal(sig, SIG_IGN);
	execve(argv[3], argv + 4, envp);
	dprintf(2, "pidfd-shim: run %s: %s\n", argv[4], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

__attribute__((constructor)) static void save_birth(int argc, char **argv, char **envp) {
	if (argc >= 5 && strcmp(argv[1], "__exec") == 0)
		exec_ignoring(argv, envp);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &born_mask, sizeof born_mask);
	for (int sig = 1; sig <= 64; sig++) {
		struct kernel_sigaction old;
		if (syscall(SYS_rt_sigaction, sig, NULL, &old, sizeof old.mask) == 0 && old.handler == (void *)SIG_IGN)
			born_ignored |= 1ULL << (sig - 1);
	}
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			born_closed |= 1 << fd;
}
*/
import "C"

// CanExec: the constructor is there to be the last step to COMMAND.
const CanExec = true

// At returns what the constructor saw before the Go runtime started.
func At() State {
	return State{uint64(C.born_mask), uint64(C.born_ignored), int(C.born_closed)}
}
