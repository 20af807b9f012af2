/* A process group each of whose members is the child of the one before: what a call costs
 * that is about all of them, and whether another caller waits for it. */
#include "attack.h"
#include <dirent.h>

static struct {
	atomic_int built, over, got;
	atomic_long group, odd; /* a call of the group's is under way where group is odd */
	atomic_long within;	/* calls of another caller that began and ended within one */
} *tree;

static void take(int sig)
{
	(void)sig;
	tree->got++;
}

/* What a process has used of a processor, in ms; and whose child it is. */
static long cpu_of(pid_t pid, pid_t *parent)
{
	char path[64], text[1024] = "";
	long user = 0, system = 0, up = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	char *end = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	if (end)
		sscanf(end + 2, "%*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &up, &user, &system);
	*parent = (pid_t)up;
	return (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/* The supervisor and its helpers. */
static long cpu(void)
{
	pid_t parent, self = getpid();
	long sum = cpu_of(supervisor, &parent);
	DIR *dir = opendir("/proc");
	for (struct dirent *e; dir && (e = readdir(dir));) {
		pid_t pid = atoi(e->d_name);
		long used = pid > 0 ? cpu_of(pid, &parent) : 0;
		if (pid != self && pid > 0 && parent == supervisor)
			sum += used;
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void await(atomic_int *flag, int value)
{
	while (*flag < value)
		usleep(1000);
}

static void good_caller(void *target)
{
	while (!tree->over) {
		long during = tree->group;
		if (during % 2 == 0)
			sched_yield();
		else if (kill(*(pid_t *)target, 0) == 0 && tree->group == during)
			tree->within++;
	}
	_exit(0);
}

/* The last of the chain: it is under all the others, and none of them is under it. */
static void last(void)
{
	int fd = pidfd_open_(getpgrp(), 0);
	tree->built = 1;
	for (int i = 0; i < 6 || (tree->within < 3 && i < 100); i++) {
		tree->group++;
		long ret = i % 3 == 0 ? kill(0, 0) : i % 3 == 1 ? kill(-getpgrp(), 0) : send_signal(fd, 0, NULL, 4);
		tree->group++;
		tree->odd += ret != 0 && !(i % 3 == 2 && ret == -EINVAL); /* flags came with 6.9 */
	}
	tree->odd += kill(0, SIGUSR1) != 0;
	tree->over = 1;
	for (;;)
		pause();
}

static void chain(void *depth)
{
	setpgid(0, 0);
	signal(SIGUSR1, take);
	for (int i = 1; i < *(int *)depth; i++) {
		pid_t pid = fork();
		must(pid >= 0, "fork");
		if (pid > 0)
			for (;;)
				pause();
	}
	last();
}

int nested(void)
{
	int depth = (int)option("depth", 100);
	pid_t target = fork();
	if (target == 0)
		for (;;)
			pause();
	tree = shared(sizeof(*tree));
	pid_t first = start(chain, &depth), good = start(good_caller, &target);
	long before = cpu();
	await(&tree->built, 1);
	await(&tree->over, 1);
	say("cpu_ms", (cpu() - before) * 2 / (tree->group + 2));
	for (int i = 0; i < 20000 && tree->got < depth; i++)
		usleep(1000);
	say("odd", tree->odd);
	say("within", tree->within);
	say("got", tree->got);
	reap(good);
	kill(target, SIGKILL);
	kill(-first, SIGKILL);
	return 0;
}
