/*
 * Each row runs in a process of its own under a deadline; who takes part writes to
 * shared memory, and this process prints the line when the row's process has ended.
 */
#include "truth.h"
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

enum { SETUP_MS = 60000, SHARED_FD = 100, NAMES = 32, TEXT = 4096 };

struct shared {
	int called, returned;
	int lacking, claimed; /* a set-up failed: `lack` says which, by whoever claimed it */
	char lack[96];
	long ret;
	int events[EVENTS];
	int cells[8];
	int nnames;
	struct { int ns, pid; char who[12]; } names[NAMES];
	char text[SLOTS][TEXT];
};

static struct shared *out;
static const char *only, *exact;
static int list, rows, every = 1, deadline_ms = 30000;
static char id[256];
int my_ns, shared_fd = SHARED_FD;

void share(int fd)
{
	out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (out == MAP_FAILED) {
		perror("truth: mmap");
		exit(2);
	}
}

void note(enum slot s, const char *fmt, ...)
{
	char *text = out->text[s];
	size_t len = strlen(text);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text + len, TEXT - len, fmt, ap);
	va_end(ap);
}

const char *result(long ret)
{
	static char number[24];
	if (ret == 0)
		return "0";
	if (ret > 0 || ret < -4095) {
		snprintf(number, sizeof(number), "%ld", ret);
		return number;
	}
	const char *name = strerrorname_np((int)-ret);
	return name ? name : "unknown";
}

/* Whoever cannot go on ends the row for all: those who wait for it leave, the rest
 * is swept away. */
void must(long ret, const char *what)
{
	if (ret >= 0)
		return;
	const char *why = result(ret == -1 ? -errno : ret);
	if (!__atomic_fetch_add(&out->claimed, 1, __ATOMIC_SEQ_CST)) {
		snprintf(out->lack, sizeof(out->lack), "setup(%s)=%s", what, why);
		__atomic_store_n(&out->lacking, 1, __ATOMIC_SEQ_CST); /* the line is printed from here on */
	}
	while (!__atomic_load_n(&out->lacking, __ATOMIC_SEQ_CST))
		sched_yield();
	for (int e = 0; e < EVENTS; e++)
		post((enum event)e);
	row_end();
}

void before(void) { out->called = 1; }

int *cell(int i) { return &out->cells[i]; }

void after(long ret)
{
	out->ret = ret;
	out->returned = 1;
}

static long futex(int *word, int op, int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

void post(enum event e)
{
	__atomic_store_n(&out->events[e], 1, __ATOMIC_SEQ_CST);
	futex(&out->events[e], FUTEX_WAKE, INT_MAX);
}

void await(enum event e)
{
	while (!__atomic_load_n(&out->events[e], __ATOMIC_SEQ_CST))
		futex(&out->events[e], FUTEX_WAIT, 0);
	if (out->lacking)
		row_end();
}

int posted(enum event e)
{
	return __atomic_load_n(&out->events[e], __ATOMIC_SEQ_CST);
}

void name_pid(int pid, const char *who)
{
	int n = __atomic_fetch_add(&out->nnames, 1, __ATOMIC_SEQ_CST);
	if (n >= NAMES)
		return;
	snprintf(out->names[n].who, sizeof(out->names[n].who), "%s", who);
	out->names[n].ns = my_ns;
	out->names[n].pid = pid;
}

const char *pid_name(int pid)
{
	for (int i = 0; i < out->nnames && i < NAMES; i++)
		if (out->names[i].pid == pid && out->names[i].ns == my_ns)
			return out->names[i].who;
	return NULL;
}

int gettid_raw(void) { return (int)syscall(SYS_gettid); }

pid_t start(void) { return fork(); }

/* A fork with clone flags; CLONE_PIDFD's descriptor goes to *pidfd. */
pid_t start_flags(unsigned long flags, int *pidfd)
{
	if (procdirs && pidfd)
		must(-ENOSYS, "CLONE_PIDFD");
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0L, pidfd, 0L, 0L);
	return (pid_t)pid;
}

static int wanted(void)
{
	static int named;
	if (exact)
		return strcmp(id, exact) == 0;
	return (!only || strstr(id, only)) && named++ % every == 0;
}

static long long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits for the row's process; returns its status, or -1 at the deadline, which counts
 * from the call, or where a set-up failed in another process. Nobody tells us of either,
 * so look now and then. */
static int wait_row(pid_t pid)
{
	static const struct timespec look_every = {0, 20000000};
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	long long limit = now_ms() + SETUP_MS;
	for (int seen = 0;;) {
		int status;
		if (waitpid(pid, &status, WNOHANG | WUNTRACED) == pid) {
			if (!WIFSTOPPED(status))
				return status;
			note(CALLER, " stopped:%s", sig_name(WSTOPSIG(status)));
			kill(pid, SIGCONT);
			continue;
		}
		if (!seen && out->called)
			seen = 1, limit = now_ms() + deadline_ms;
		if (now_ms() > limit || out->lacking)
			return -1;
		sigtimedwait(&chld, NULL, &look_every);
	}
}

/* Kills and reaps what a row left: this process is the subreaper of them all. */
static void sweep(void)
{
	char path[64], kids[4096];
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid_raw());
	while (waitpid(-1, NULL, WNOHANG) >= 0) {
		FILE *f = fopen(path, "r");
		size_t n = f ? fread(kids, 1, sizeof(kids) - 1, f) : 0;
		if (f)
			fclose(f);
		kids[n] = 0;
		char *at = kids;
		for (long kid; (kid = strtol(at, &at, 10)) > 0;)
			kill((pid_t)kid, SIGKILL);
		waitpid(-1, NULL, 0);
	}
}

static void print_row(int status)
{
	static const char *const who[SLOTS] = {"caller", "target", "thread", "leader", "m1", "m2", "m3"};
	printf("ROW %s | ", id);
	if (out->lacking) {
		printf("ret=- errno=- | got=%s\n", out->lack);
		fflush(stdout);
		return;
	}
	if (out->returned)
		printf("ret=%ld errno=%s", out->ret < 0 && out->ret >= -4095 ? -1 : out->ret,
		       out->ret < 0 ? result(out->ret) : "0");
	else
		printf("ret=%s errno=-", status == -1 && out->called ? "HANG" : "-");
	printf(" | got=");
	int parts = 0;
	for (int s = 0; s < SLOTS; s++)
		if (out->text[s][0])
			printf("%s%s:%s", parts++ ? "; " : "", who[s], out->text[s]);
	if (status == -1)
		printf("%sdeadline", parts++ ? "; " : "");
	else if (WIFSIGNALED(status))
		printf("%scaller died:%s", parts++ ? "; " : "", sig_name(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		printf("%scaller exit:%d", parts++ ? "; " : "", WEXITSTATUS(status));
	printf("%s\n", parts ? "" : "nothing");
	fflush(stdout);
}

/* The row's process: a group of its own, not orphaned, nothing blocked or ignored. */
static void become_caller(void)
{
	static const struct rlimit no_core;
	setrlimit(RLIMIT_CORE, &no_core);
	raw_reset_all();
	recv_unblock();
	setpgid(0, 0);
	name_pid(getpid(), "caller");
	name_pid(getppid(), "parent");
}

int row_begin(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(id, sizeof(id), fmt, ap);
	va_end(ap);
	if (!wanted())
		return 0;
	rows++;
	if (list) {
		puts(id);
		return 0;
	}
	memset(out, 0, sizeof(*out));
	pid_t pid = fork();
	if (pid == 0) {
		become_caller();
		return 1;
	}
	if (pid < 0) {
		perror("truth: fork");
		exit(2);
	}
	int status = wait_row(pid);
	if (status == -1)
		kill(pid, SIGKILL);
	sweep();
	print_row(status);
	return 0;
}

void row_end(void) { _exit(0); }

static void prepare(void)
{
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	int fd = (int)syscall(SYS_memfd_create, "truth", 0);
	if (fd < 0 || ftruncate(fd, sizeof(*out)) || dup2(fd, SHARED_FD) < 0) {
		perror("truth: shared memory");
		exit(2);
	}
	close(fd);
	share(SHARED_FD);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--exec-target"))
		return exec_target(argv);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--list"))
			list = 1;
		else if (!strcmp(argv[i], "--procdirs"))
			procdirs = 1;
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			only = argv[++i];
		else if (!strcmp(argv[i], "--row") && i + 1 < argc)
			exact = argv[++i];
		else if (!strcmp(argv[i], "--every") && i + 1 < argc && atoi(argv[i + 1]) > 0)
			every = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--deadline") && i + 1 < argc)
			deadline_ms = atoi(argv[++i]);
		else {
			fprintf(stderr, "usage: %s [--list] [--procdirs] [--only SUBSTRING] [--every N] [--row ID] [--deadline MS]\n", argv[0]);
			return 2;
		}
	}
	prepare();
	rows_fd();
	rows_sig();
	rows_info();
	rows_order();
	rows_state();
	rows_perm();
	rows_ns();
	rows_scope();
	rows_thread();
	rows_storm();
	rows_wait();
	rows_around();
	printf("ROWS %d\n", rows);
	return 0;
}
