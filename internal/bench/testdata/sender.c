/* sender signals itself as often as told and prints who did, by the kernel's word:
   "itself", "its parent", or the error. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	sigset_t set;
	siginfo_t info;
	const char *who = "nobody";
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int calls = argc > 1 ? atoi(argv[1]) : 1; calls > 0; calls--) {
		if (syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0) < 0)
			who = strerrorname_np(errno);
		else if (sigwaitinfo(&set, &info) == SIGUSR1)
			who = info.si_pid == getpid() ? "itself" : info.si_pid == getppid() ? "its parent" : "another";
	}
	puts(who);
	return 0;
}
