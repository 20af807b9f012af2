/* Callers without a right to signal. Each row is the call's result and what became of
   the target; natively and under the shim the lines must be equal. */
#include "attack.h"
#include <linux/capability.h>
#include <sys/stat.h>

static int settle_pipe[2];

static void waits(void *arg)
{
	char c = 0;
	if (arg)
		((void (*)(void))arg)();
	must(write(settle_pipe[1], &c, 1) == 1, "write");
	for (;;)
		pause();
}

static pid_t settled(void (*prepare)(void))
{
	char c;
	must(pipe2(settle_pipe, O_CLOEXEC) == 0, "pipe");
	pid_t pid = start(waits, prepare);
	must(read(settle_pipe[0], &c, 1) == 1, "read");
	close(settle_pipe[0]), close(settle_pipe[1]);
	return pid;
}

/* All three ids by the bare call, which is the calling thread's alone. */
static void ids(uid_t r, uid_t e, uid_t s) { must(syscall(SYS_setresuid, r, e, s) == 0, "setresuid"); }

static void nobody(void) { ids(65534, 65534, 65534); }
static void mixed(void) { ids(0, 65534, 0); }
static void saved(void) { ids(0, 0, 65534); }
static void other_session(void) { setsid(); }

/* Returns what the last one, SIGKILL, came to. */
static long signals(const char *who, int fd)
{
	long ret = 0;
	static const int sigs[] = {0, SIGTERM, SIGCONT, RT, SIGKILL};
	siginfo_t info;
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		if (sigs[i] != SIGKILL) {
			printf("%s sig=%d info: %s\n", who, sigs[i], name_of(send_signal(fd, sigs[i], queued(&info, sigs[i], 1), 0)));
			info.si_code = SI_TKILL;
			printf("%s sig=%d tkill: %s\n", who, sigs[i], name_of(send_signal(fd, sigs[i], &info, 0)));
		}
		ret = send_signal(fd, sigs[i], NULL, 0);
		printf("%s sig=%d: %s\n", who, sigs[i], name_of(ret));
	}
	fflush(stdout);
	return ret;
}

static void *signals_thread(void *arg)
{
	nobody();
	signals("thread", *(int *)arg);
	return NULL;
}

/* The caller becomes who it is in a child, so that rows do not meet. */
static void row(const char *who, void (*of_caller)(void), void (*of_target)(void))
{
	pid_t target = settled(of_target);
	int fd = pidfd_open_(target, 0);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		of_caller();
		_exit(signals(who, fd) != 0);
	}
	int spared = reap(pid) != 0;
	printf("%s target alive=%d\n", who, spared && kill(target, 0) == 0);
	kill(target, SIGKILL);
	reap(target);
	close(fd);
}

static void child_userns(void) { must(unshare(CLONE_NEWUSER) == 0, "unshare"); }

static void without_kill(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	must(syscall(SYS_capget, &header, data) == 0, "capget");
	data[0].effective &= ~(1u << CAP_KILL);
	must(syscall(SYS_capset, &header, data) == 0, "capset");
}

static void nobody_with_kill(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{1u << CAP_KILL | 1u << CAP_SETUID, 1u << CAP_KILL | 1u << CAP_SETUID, 0}, {0, 0, 0}};
	must(prctl(PR_SET_KEEPCAPS, 1) == 0, "keepcaps");
	nobody();
	data[0].effective = data[0].permitted = 1u << CAP_KILL;
	must(syscall(SYS_capset, &header, data) == 0, "capset");
}

static void thread_of_root(void)
{
	pid_t target = settled(NULL);
	int fd = pidfd_open_(target, 0);
	pthread_t thread;
	pthread_create(&thread, NULL, signals_thread, &fd);
	pthread_join(thread, NULL);
	printf("thread's leader: %s\n", name_of(send_signal(fd, SIGKILL, NULL, 0)));
	reap(target);
}

/* Two threads with other rights call in turn: what is remembered of one is not the
   other's. */
static int turn_fd;
static atomic_int turn;
static void *in_turn(void *arg)
{
	int me = arg != NULL;
	if (me)
		nobody();
	for (int i = 0; i < 50; i++) {
		while (turn % 2 != me)
			sched_yield();
		long ret = send_signal(turn_fd, 0, NULL, 0);
		if (ret != (me ? -EPERM : 0))
			printf("turn %d of thread %d: %s\n", i, me, name_of(ret));
		turn++;
	}
	return NULL;
}

static void threads_in_turn(void)
{
	pid_t target = settled(NULL);
	pthread_t threads[2];
	turn_fd = pidfd_open_(target, 0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, in_turn, i ? &turn_fd : NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("turns=%d\n", turn);
	kill(target, SIGKILL);
}

/* One thread changes its ids between calls: those of the call's time count. */
static void changing(void)
{
	pid_t target = settled(NULL);
	int fd = pidfd_open_(target, 0);
	for (int i = 0; i < 20; i++) {
		must(syscall(SYS_setresuid, 65534, 65534, 0) == 0, "drop");
		long without = send_signal(fd, 0, NULL, 0);
		must(syscall(SYS_setresuid, 0, 0, 0) == 0, "regain");
		long with = send_signal(fd, 0, NULL, 0);
		if (without != -EPERM || with != 0)
			printf("changing %d: %s %s\n", i, name_of(without), name_of(with));
	}
	kill(target, SIGKILL);
}

/* Inside a pid namespace, as its init's child. */
static void *inside(void *arg)
{
	static const int sigs[] = {SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, RT, 0};
	siginfo_t info;
	(void)arg;
	int fd = pidfd_open_(1, 0), thread = pidfd_open_(1, PIDFD_THREAD);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		printf("init sig=%d: %s", sigs[i], name_of(send_signal(fd, sigs[i], NULL, 0)));
		printf(" info: %s", name_of(send_signal(fd, sigs[i], queued(&info, sigs[i], 1), 0)));
		printf(" thread: %s", name_of(send_signal(thread, sigs[i], NULL, 0)));
		printf(" group: %s\n", name_of(send_signal(fd, sigs[i], NULL, 2)));
	}
	return NULL;
}

static int init_of_namespace(void *arg)
{
	char *as = arg;
	int status;
	setsid(); /* a process group of its own */
	pid_t pid = fork();
	if (pid == 0) {
		if (*as == 'n')
			nobody();
		inside(NULL);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("init lives, its child ended with %d\n", status);
	/* A stop of init itself and of its group, by itself. */
	int self = pidfd_open_(1, 0);
	printf("init itself: %s %s\n", name_of(send_signal(self, SIGKILL, NULL, 0)), name_of(send_signal(self, SIGSTOP, NULL, 4)));
	fflush(stdout);
	_exit(17);
}

static void namespace_init(const char *as)
{
	static char stack[65536] __attribute__((aligned(16)));
	fflush(stdout);
	pid_t pid = clone(init_of_namespace, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, (void *)as);
	must(pid > 0, "clone");
	int status = reap(pid);
	printf("init as %s: %d\n", as, status);
	if (WIFSIGNALED(status))
		return;
	/* An ancestor may kill it. */
	pid = clone((int (*)(void *))(void (*)(void))pause, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, NULL);
	int fd = pidfd_open_(pid, 0);
	printf("from an ancestor: %s", name_of(send_signal(fd, SIGTERM, NULL, 0)));
	printf(" %s", name_of(send_signal(fd, SIGKILL, NULL, 0)));
	printf(" %d\n", reap(pid));
	close(fd);
}

/* A set-uid exec: the ids after it count. */
static void set_uid_exec(void)
{
	char path[] = "/tmp/attack-suid-XXXXXX", number[16];
	int out = mkostemp(path, O_CLOEXEC), in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char buffer[65536];
	ssize_t n;
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		must(write(out, buffer, (size_t)n) == n, "copy");
	must(fchmod(out, 04755) == 0, "chmod");
	close(out), close(in);
	pid_t target = settled(NULL);
	int fd = pidfd_open_(target, 0), kept = dup(fd);
	snprintf(number, sizeof(number), "suid=%d", kept);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		nobody();
		printf("before exec: %s\n", name_of(send_signal(kept, 0, NULL, 0)));
		fflush(stdout);
		execl(path, "attack", "privilege", number, NULL);
		_exit(97);
	}
	printf("set-uid exec ended with %d\n", reap(pid));
	unlink(path);
	kill(target, SIGKILL);
}

int privilege(void)
{
	int inherited = (int)option("suid", -1);
	if (inherited >= 0) {
		printf("after exec as %d/%d: %s\n", getuid(), geteuid(), name_of(send_signal(inherited, SIGTERM, NULL, 0)));
		fflush(stdout);
		return 0;
	}
	row("nobody to root", nobody, NULL);
	row("nobody to nobody", nobody, nobody);
	row("nobody to mixed", nobody, mixed);
	row("nobody to saved", nobody, saved);
	row("nobody to another session", nobody, other_session);
	row("mixed to root", mixed, NULL);
	row("root of a child user namespace to root", child_userns, NULL);
	row("root of a child user namespace to nobody", child_userns, nobody);
	row("root to a child user namespace", without_kill, child_userns);
	row("nobody with CAP_KILL", nobody_with_kill, NULL);
	row("root without CAP_KILL to nobody", without_kill, nobody);
	thread_of_root();
	threads_in_turn();
	changing();
	namespace_init("root");
	namespace_init("nobody");
	set_uid_exec();
	return 0;
}
