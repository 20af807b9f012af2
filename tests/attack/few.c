/* Few descriptors, no more tasks, and calls that are refused around us. */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* More living callers, callers that die, and targets than their supervisor can have
   descriptors, one after the other. */
int few(void)
{
	enum { PROCESSES = 40, CALLS = 200 };
	int go[2], done[2], result;
	char round = 0;
	long bad = 0;
	siginfo_t info;
	must(pipe(go) == 0 && pipe(done) == 0, "pipe");
	int self = pidfd_open_(getpid(), 0);
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(go[1]);
			while (read(go[0], &round, 1) == 1) {
				result = (int)send_signal(self, 0, round & 1 ? queued(&info, 0, 1) : NULL, 0);
				must(write(done[1], &result, sizeof(result)) == sizeof(result), "write");
				usleep(200); /* the next one is another's */
			}
			_exit(0);
		}
	for (round = 0; round < (char)100; round++)
		for (int i = 0; i < CALLS / 100; i++) {
			must(write(go[1], &round, 1) == 1 && read(done[0], &result, sizeof(result)) == sizeof(result), "a call");
			bad += result != 0;
		}
	close(go[1]);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(send_signal(self, 0, queued(&info, 0, 1), 0) != 0);
		bad += reap(pid) != 0;
		pid = fork();
		if (pid == 0)
			for (;;)
				pause();
		int fd = pidfd_open_(pid, 0);
		bad += send_signal(fd, 0, NULL, 0) != 0;
		bad += send_signal(fd, SIGKILL, NULL, 0) != 0;
		close(fd);
		reap(pid);
	}
	say("bad", bad);
	return 0;
}

static void taken(int sig) { (void)sig; }

/* Calls of one that has used up every task that its user may have. */
int crowded(void)
{
	long count = option("calls", 5000), children = 0, bad = 0;
	signal(SIGUSR1, taken); /* what is ignored would not be sent by the caller itself */
	pid_t pid, last = -1;
	while ((pid = fork()) > 0) {
		last = pid;
		children++;
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	must(last > 0, "fork");
	int fd = pidfd_open_(last, 0);
	for (long i = 0; i < count; i++)
		bad += send_signal(fd, SIGUSR1, NULL, 0) != 0 || kill(last, SIGUSR1) != 0;
	say("bad", bad);
	say("children", children);
	return 0;
}

/* A command under a filter that answers a call with EPERM. */
int refused(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)option("nr", 0), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "filter");
	execv(after_dashes()[0], after_dashes());
	must(0, "exec");
	return 1;
}
