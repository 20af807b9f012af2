/* A command of the supervisor's own uid, without a privilege, against our processes: it
   may kill them, and see to it that helpers are started, but not look into them. */
#include "attack.h"
#include <dirent.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define GETFD_NR 438

static long tries, hits;

static void attempt(int hit, const char *what, pid_t pid)
{
	tries++;
	if (!hit)
		return;
	hits++;
	printf("hit: %s of %d\n", what, pid);
}

static void seize(pid_t pid)
{
	int held = ptrace(PTRACE_SEIZE, pid, 0, 0) == 0;
	attempt(held, "PTRACE_SEIZE", pid);
	if (held) {
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		waitpid(pid, NULL, __WALL);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
}

static void look_into(pid_t pid)
{
	static const char *const files[] = {"mem", "environ", "maps", "stack", "exe", "cwd", "ns/user", "fd/3"};
	char path[64], buffer[64];
	struct iovec here = {buffer, sizeof(buffer)}, there = {(void *)0x400000, sizeof(buffer)};
	seize(pid);
	attempt(process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0, "process_vm_readv", pid);
	attempt(process_vm_writev(pid, &here, 1, &there, 1, 0) >= 0, "process_vm_writev", pid);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		int fd = open(path, O_RDONLY);
		attempt(fd >= 0 && read(fd, buffer, 1) >= 0, path, pid);
		attempt(readlink(path, buffer, sizeof(buffer)) > 0, path, pid);
		close(fd);
	}
	int fd = pidfd_open_(pid, 0);
	for (int n = 0; n < 32; n++)
		attempt(syscall(GETFD_NR, fd, n, 0) >= 0, "pidfd_getfd", pid);
	close(fd);
}

/* The children of a process but us, up to 64. */
static int children(pid_t parent, pid_t *into)
{
	char path[300];
	int count = 0, child;
	snprintf(path, sizeof(path), "/proc/%d/task", parent);
	DIR *dir = opendir(path);
	must(dir != NULL, path);
	for (struct dirent *e; (e = readdir(dir));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", parent, e->d_name);
		FILE *f = fopen(path, "r");
		while (f && fscanf(f, "%d", &child) == 1)
			if (child != getpid() && child != getppid() && count < 64)
				into[count++] = child;
		if (f)
			fclose(f);
	}
	closedir(dir);
	return count;
}

/* Calls whose siginfo never answers start one helper after the other; beside them
   somebody tries whoever appears. */
static atomic_long *raced, *started, *over;
static void racer(void *arg)
{
	pid_t list[64], known[64], parent = getppid();
	int known_count = 0;
	(void)arg;
	while (!*over) {
		int count = children(supervisor, list);
		for (int i = 0; i < count; i++) {
			int is_known = list[i] == parent;
			for (int k = 0; k < known_count; k++)
				is_known |= list[i] == known[k];
			*started += !is_known;
			if (list[i] == parent)
				continue;
			long before = hits;
			seize(list[i]);
			*raced += hits - before;
		}
		memcpy(known, list, sizeof(known));
		known_count = count;
	}
}

static void unanswered(void *arg)
{
	send_signal(*(int *)arg, RT, silent_page(), 0);
}

static void call(void)
{
	pid_t other = start((void (*)(void *))(void (*)(void))pause, NULL);
	int fd = pidfd_open_(other, 0);
	must(send_signal(fd, SIGKILL, NULL, 0) == 0, "call");
	must(WTERMSIG(reap(other)) == SIGKILL, "killed");
	close(fd);
}

int peek(void)
{
	pid_t list[64], front = (pid_t)status_of(supervisor, "PPid");
	raced = shared(3 * sizeof(*raced)), started = raced + 1, over = raced + 2;
	int fd = pidfd_open_(getpid(), 0);
	call();
	look_into(front);
	look_into(supervisor);
	int seen = 2, count = children(front, list); /* its witness is one */
	for (int i = 0; i < count; i++, seen++)
		look_into(list[i]);
	count = children(supervisor, list);
	for (int i = 0; i < count; i++, seen++)
		look_into(list[i]);
	pid_t beside = start(racer, NULL);
	for (long i = option("rounds", 50); i > 0; i--) {
		long before = *started;
		long long limit = now_us() + 3000000;
		pid_t pid = start(unanswered, &fd);
		while (*started == before && now_us() < limit)
			sched_yield();
		kill(pid, SIGKILL);
		reap(pid);
	}
	*over = 1;
	reap(beside);
	say("seen", seen), say("tries", tries), say("hits", hits);
	say("started", *started), say("raced", *raced);
	return 0;
}
