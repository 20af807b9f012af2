/* Handles under a policy: who gets one of whom, and what it fails with. */
#include "attack.h"
#include <sys/stat.h>

#define GETFD_NR 438

static int opened; /* the last handle: -1 for none */

static void row(const char *what, long ret)
{
	opened = (int)ret;
	printf("%s: %s\n", what, ret < 0 ? strerrorname_np(errno) : "got");
}

static void opens(const char *what, pid_t pid, unsigned flags)
{
	row(what, syscall(OPEN_NR, (long)pid, (long)flags));
	if (opened < 0)
		return;
	char path[64], line[128];
	int seen = 0;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", opened);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "Pid: %d", &seen);
	if (f)
		fclose(f);
	printf("  cloexec %d, of whom it was asked for %d, sends %s\n", fcntl(opened, F_GETFD), seen == pid,
		name_of(send_signal(opened, 0, NULL, 0)));
}

static int pipes[2];

static void gets_fd(const char *what, int handle, int fd, unsigned flags)
{
	struct stat a, b;
	row(what, syscall(GETFD_NR, (long)handle, (long)fd, (long)flags));
	if (opened >= 0)
		printf("  the very file %d\n", fstat(opened, &a) == 0 && fstat(pipes[1], &b) == 0 && a.st_ino == b.st_ino);
}

static pid_t named(const char *name)
{
	int ready[2];
	char c;
	must(pipe(ready) == 0, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	must(pid > 0 && read(ready[0], &c, 1) == 1, "start");
	close(ready[0]), close(ready[1]);
	return pid;
}

static atomic_int tid;
static void *rests(void *arg)
{
	tid = (int)syscall(SYS_gettid);
	for (;;)
		pause();
	return arg;
}

int get_handles(void)
{
	pthread_t thread;
	siginfo_t info;
	must(pipe(pipes) == 0, "pipe");
	pid_t worker = named("worker"), victim = named("victim");
	opens("itself", getpid(), 0);
	opens("its parent", getppid(), 0);
	opens("worker", worker, 0);
	int of = opened;
	opens("worker, as a thread", worker, PIDFD_THREAD);
	opens("worker, nonblocking", worker, O_NONBLOCK);
	opens("victim", victim, 0);
	int of_victim = opened;
	opens("victim, as a thread", victim, PIDFD_THREAD);
	opens("unknown flags", worker, 1);
	opens("nobody", 1 << 30, 0);
	opens("0", 0, 0);
	opens("-1", -1, 0);
	gets_fd("a file of worker's", of, pipes[1], 0);
	gets_fd("a file of victim's", of_victim, pipes[1], 0);
	gets_fd("no file", of, 999, 0);
	gets_fd("no handle", 999, pipes[1], 0);
	gets_fd("flags", of, pipes[1], 1);
	int dir = proc_dir(worker);
	gets_fd("a directory", dir, pipes[1], 0);
	kill(worker, SIGKILL);
	must(waitid(P_PID, (id_t)worker, &info, WEXITED | WNOWAIT) == 0, "waitid");
	opens("a zombie", worker, 0);
	gets_fd("a file of a zombie's", of, pipes[1], 0);
	reap(worker);
	opens("who was reaped", worker, 0);
	gets_fd("a file of who was", of, pipes[1], 0);
	must(pthread_create(&thread, NULL, rests, NULL) == 0, "pthread_create");
	while (tid == 0)
		sched_yield();
	opens("a thread's number", tid, 0);
	opens("a thread", tid, PIDFD_THREAD);
	return 0;
}
