/* A caller and a target that change between two calls: what was found out about them before
 * must not be believed. Each line is a step and the result of one call after it; the caller
 * has called before each step, so that whatever is kept of it is kept. */
#include "attack.h"
#include <sys/stat.h>

static struct whom mark;
static const char *scratch;

static void report(const char *step)
{
	siginfo_t info;
	long by_fd = send_signal(mark.fd, RT, queued(&info, RT, 1), 0);
	long by_number = kill(mark.pid, 0) == 0 ? 0 : -errno;
	printf("%s: %s %s\n", step, name_of(by_fd), name_of(by_number));
	fflush(stdout);
}

/* All three ids by the bare call, which is the calling thread's alone. */
static void ids(uid_t r, uid_t e) { must(syscall(SYS_setresuid, r, e, 0) == 0, "setresuid"); }

/* A copy of ourselves: a link would be the same file, and its owner ours to change. */
static const char *copy(const char *name, uid_t owner, mode_t mode)
{
	static char path[256];
	char buf[65536];
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	int from = open("/proc/self/exe", O_RDONLY), to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	must(from >= 0 && to >= 0, path);
	for (ssize_t n; (n = read(from, buf, sizeof(buf))) > 0;)
		must(write(to, buf, n) == n, "write");
	must(fchown(to, owner, 0) == 0 && fchmod(to, mode) == 0, "fchown");
	close(from), close(to);
	return path;
}

static void again(const char *path, const char *step)
{
	char pid[32], fd[32], at[64], dir[300];
	snprintf(pid, sizeof(pid), "pid=%d", mark.pid);
	snprintf(fd, sizeof(fd), "fd=%d", mark.fd);
	snprintf(at, sizeof(at), "step=%s", step);
	snprintf(dir, sizeof(dir), "scratch=%s", scratch);
	execl(path, path, "changes", pid, fd, at, dir, (char *)NULL);
	must(0, "execl");
}

static void renamed(void)
{
	report("before");
	prctl(PR_SET_NAME, "denied");
	report("renamed");
	prctl(PR_SET_NAME, "attack");
	report("renamed back");
}

static void other_ids(void)
{
	report("before");
	ids(0, 4242);
	report("effective uid");
	ids(0, 0);
	ids(4343, 0);
	report("real uid");
	ids(0, 0);
	report("root again");
}

static void execs(void)
{
	report("before");
	again(copy("denied-program", 0, 0755), "execve");
}

static void set_uid_exec(void)
{
	report("before");
	again(copy("set-uid", 4242, 04755), "set-uid execve");
}

static void *thread_execs(void *arg)
{
	(void)arg;
	report("a thread, before");
	again(copy("denied-program", 0, 0755), "execve by a thread");
	return NULL;
}

static void exec_by_thread(void)
{
	pthread_t thread;
	report("before");
	must(pthread_create(&thread, NULL, thread_execs, NULL) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

static void namespaces(void)
{
	int own = open("/proc/self/ns/user", O_RDONLY);
	report("before");
	pid_t pid = fork();
	if (pid == 0) {
		report("a child, before");
		must(unshare(CLONE_NEWUSER) == 0, "unshare");
		report("unshare of the user namespace"); /* nobody there, and not the target's either */
		_exit(0);
	}
	reap(pid);
	must(unshare(CLONE_NEWPID) == 0, "unshare"); /* its own stays */
	report("unshare of the pid namespace");
	pid = fork();
	if (pid == 0) {
		report("a child in it");
		_exit(0);
	}
	reap(pid);
	close(own);
}

/* The target's turn: it does what it reads, and says so. */
static int orders[2], done[2];

static void obey(void *arg)
{
	char order;
	(void)arg;
	while (read(orders[0], &order, 1) == 1) {
		if (order == 'n')
			prctl(PR_SET_NAME, "denied");
		if (order == 'N')
			prctl(PR_SET_NAME, "attack");
		if (order == 'u')
			ids(4444, 0);
		if (order == 'U')
			ids(0, 0);
		if (order == 'o' && fork()) /* the child goes on, as an orphan */
			_exit(0);
		pid_t self = getpid();
		must(write(done[1], &self, sizeof(self)) == sizeof(self), "write");
		if (order == 'x')
			again(copy("denied-target", 0, 0755), "wait");
	}
}

static pid_t order(char what)
{
	pid_t who;
	must(write(orders[1], &what, 1) == 1 && read(done[0], &who, sizeof(who)) == sizeof(who), "pipe");
	return who;
}

static void is_name(pid_t pid, const char *name)
{
	char path[64], text[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	for (int i = 0; i < 20000 && strncmp(text, name, strlen(name)); i++) {
		FILE *f = fopen(path, "r");
		if (f && !fgets(text, sizeof(text), f))
			text[0] = 0;
		if (f)
			fclose(f);
		usleep(1000);
	}
}

static void target_changes(void)
{
	kill(mark.pid, SIGKILL);
	must(pipe(orders) == 0 && pipe(done) == 0, "pipe");
	mark.pid = mark.tid = start(obey, NULL);
	mark.fd = pidfd_open_(mark.pid, 0);
	report("before");
	order('n');
	report("target renamed");
	order('N');
	report("target renamed back");
	order('u');
	report("target's real uid");
	order('U');
	report("target root again");
	order('x');
	is_name(mark.pid, "denied-target");
	report("target's execve");
}

/* It outlives an execve of ours, and not us, who may not kill it any more. */
static pid_t marked(void)
{
	int life[2];
	char c;
	must(pipe(life) == 0, "pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(life[1]);
		_exit((int)read(life[0], &c, 1));
	}
	close(life[0]);
	return pid;
}

int changes(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} steps[] = {{"renamed", renamed}, {"ids", other_ids}, {"execs", execs}, {"set-uid", set_uid_exec},
		     {"thread-execs", exec_by_thread}, {"namespaces", namespaces}, {"target", target_changes}};
	const char *step = word_option("step");
	scratch = word_option("scratch");
	block_all(); /* and so has who is born of us */
	mark.pid = mark.tid = (pid_t)option("pid", 0);
	mark.fd = (int)option("fd", -1);
	while (step && strcmp(step, "wait") == 0)
		pause();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (step && strcmp(step, steps[i].name) == 0) {
			mark.pid = mark.tid = marked();
			mark.fd = pidfd_open_(mark.pid, 0);
			fcntl(mark.fd, F_SETFD, 0);
			steps[i].run();
			return 0;
		}
	if (strcmp(step, "set-uid execve") || geteuid() == 4242)
		report(step);
	return 0;
}
