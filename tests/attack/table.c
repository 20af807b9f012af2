/* The older calls by a table: each row is the result and what the receiver got, natively
   and under a policy that allows it the same. */
#include "attack.h"
#include <limits.h>

struct receiver {
	pid_t pid, tid; /* its process, its second thread */
	int order[2], answer[2];
};

static void *second(void *arg)
{
	*(atomic_int *)arg = (int)syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static void describe(char *into, size_t room, const siginfo_t *info, pid_t sender)
{
	snprintf(into, room, "{%d errno=%d code=%d pid=%s uid=%d value=%d}", info->si_signo, info->si_errno, info->si_code,
		 info->si_pid == sender ? "caller" : info->si_pid == 0 ? "0" : "other", (int)info->si_uid, info->si_value.sival_int);
}

/* Says what waits for it, when it is told to. */
static void receives(void *arg)
{
	struct receiver *r = arg;
	static atomic_int tid;
	pthread_t thread;
	uint64_t all = ~0ULL;
	struct {
		int32_t sec, nsec;
		int64_t more;
	} zero = {0, 0, 0};
	char text[1024], c;
	pthread_create(&thread, NULL, second, &tid);
	while (!tid)
		sched_yield();
	must(write(r->answer[1], (void *)&tid, sizeof(int)) == sizeof(int), "write");
	while (read(r->order[0], &c, 1) == 1) {
		siginfo_t info;
		size_t n = 0;
		text[0] = 0;
		while (n < sizeof(text) - 128 && syscall(SYS_rt_sigtimedwait, &all, &info, &zero, 8) > 0) {
			describe(text + n, sizeof(text) - n, &info, getppid());
			n = strlen(text);
		}
		must(write(r->answer[1], text, sizeof(text)) == sizeof(text), "write");
	}
	_exit(0);
}

static void open_receiver(struct receiver *r)
{
	must(pipe2(r->order, O_CLOEXEC) == 0 && pipe2(r->answer, O_CLOEXEC) == 0, "pipe");
	r->pid = start(receives, r);
	must(read(r->answer[0], &r->tid, sizeof(int)) == sizeof(int), "read");
}

static void thread_mask(pid_t pid, pid_t tid, char *into, size_t room)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	FILE *f = fopen(path, "r");
	snprintf(into, room, "gone");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "SigPnd:", 7) == 0)
			snprintf(into, room, "%s", strtok(line + 8, "\n"));
	if (f)
		fclose(f);
}

/* What it got, and by which of its two threads. */
static void ask(struct receiver *r)
{
	char text[1024] = "", mask[64];
	thread_mask(r->pid, r->tid, mask, sizeof(mask));
	if (write(r->order[1], "?", 1) != 1 || read(r->answer[0], text, sizeof(text)) <= 0)
		strcpy(text, "dead");
	printf(" got=%s second=%s\n", text, mask);
}

static void close_receiver(struct receiver *r)
{
	kill(r->pid, SIGKILL);
	reap(r->pid);
	close(r->order[0]), close(r->order[1]), close(r->answer[0]), close(r->answer[1]);
}

static long call(enum call what, long a, long b, long c, const void *info)
{
	static const long nr[CALLS] = {SEND_NR, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};
	long ret;
	switch (what) {
	case KILL:
	case TKILL: ret = syscall(nr[what], a, c); break;
	case TGKILL: ret = syscall(nr[what], b, a, c); break;
	case QUEUE: ret = syscall(nr[what], a, c, info); break;
	default: ret = syscall(nr[what], b, a, c, info); break;
	}
	return ret == 0 ? 0 : -errno;
}

static const struct {
	const char *name;
	int code, signo, tail; /* signo: added to the true one */
} infos[] = {
	{"queue", SI_QUEUE, 0, 0}, {"user", SI_USER, 0, 0}, {"tkill", SI_TKILL, 0, 0}, {"one", 1, 0, 0}, {"kernel", SI_KERNEL, 0, 0},
	{"timer", SI_TIMER, 0, 0}, {"unknown", -100, 0, 0}, {"unknown-tail", -100, 0, 1}, {"mismatch", SI_QUEUE, 1, 0},
	{"null", 0, 0, -1}, {"bad", 0, 0, -2},
};

static const void *info_of(size_t i, int sig)
{
	static siginfo_t info;
	if (infos[i].tail < 0)
		return infos[i].tail == -1 ? NULL : (void *)8;
	queued(&info, sig + infos[i].signo, 77);
	info.si_code = infos[i].code;
	if (infos[i].tail)
		((char *)&info)[127] = 1;
	return &info;
}

static void row(const char *who, enum call what, long pid, long tgid, int sig, size_t info, struct receiver *r)
{
	int with = what == QUEUE || what == TGQUEUE;
	long ret = call(what, pid, tgid, sig, with ? info_of(info, sig) : NULL);
	printf("%s %s sig=%d info=%s: %s", who, call_names[what], sig, with ? infos[info].name : "-", name_of(ret));
	if (r)
		ask(r);
	else
		printf("\n");
}

static pid_t dead_child(int reaped)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	must(pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0, "waitid");
	if (reaped)
		reap(pid);
	return pid;
}

/* Every call to one target, with few signals or all of them. */
static void rows(const char *who, long pid, long tgid, struct receiver *r)
{
	static const int sigs[] = {0, SIGUSR1, RT, SIGCONT, 64, 65, -1};
	for (enum call what = KILL; what < CALLS; what++)
		for (size_t s = 0; s < sizeof(sigs) / sizeof(sigs[0]); s++)
			for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
				if (i == 0 || ((what == QUEUE || what == TGQUEUE) && (sigs[s] == RT || sigs[s] == 65)))
					row(who, what, pid, tgid, sigs[s], i, r);
}

static void table(const char *as)
{
	struct receiver r;
	char who[64];
	pid_t zombie = dead_child(0), reaped = dead_child(1);
	open_receiver(&r);
	setpgid(r.pid, r.pid);
#define NAMED(text) (snprintf(who, sizeof(who), "%s %s", as, text), who)
	rows(NAMED("child"), r.pid, r.pid, &r);
	rows(NAMED("thread"), r.tid, r.pid, &r);
	rows(NAMED("wrong-group"), r.tid, getpid(), &r);
	rows(NAMED("zombie"), zombie, zombie, NULL);
	rows(NAMED("reaped"), reaped, reaped, NULL);
	rows(NAMED("self"), getpid(), getpid(), NULL);
	rows(NAMED("none"), INT_MAX, INT_MAX, NULL);
	rows(NAMED("no-group"), -(long)INT_MAX, -(long)INT_MAX, NULL);
	rows(NAMED("int-min"), INT_MIN, INT_MIN, NULL);
	row(NAMED("init"), KILL, 1, 1, 0, 0, NULL);
	for (enum call what = TKILL; what < CALLS; what++) { /* kill(0) and kill(-1) are for others */
		row(NAMED("zero"), what, 0, 0, RT, 0, NULL);
		row(NAMED("minus-one"), what, -1, -1, RT, 0, NULL);
		row(NAMED("zero-group"), what, r.pid, 0, RT, 0, &r);
	}
	row(NAMED("group"), KILL, -r.pid, 0, 0, 0, &r);
	row(NAMED("group"), KILL, -r.pid, 0, 65, 0, &r);
	row(NAMED("own-group"), KILL, 0, 0, 0, 0, NULL);
	row(NAMED("own-group"), KILL, 0, 0, 65, 0, NULL);
	reap(zombie);
	close_receiver(&r);
}

/* What came to us ourselves. */
static void own_mail(const char *as)
{
	uint64_t all = ~0ULL;
	struct {
		int32_t sec, nsec;
		int64_t more;
	} zero = {0, 0, 0};
	siginfo_t info;
	char text[256];
	while (syscall(SYS_rt_sigtimedwait, &all, &info, &zero, 8) > 0) {
		describe(text, sizeof(text), &info, getpid());
		printf("%s own mail: %s\n", as, text);
	}
}

static void as_nobody(void *arg)
{
	struct receiver *roots = arg;
	syscall(SYS_setresuid, 65534, 65534, 65534);
	rows("nobody root's", roots->pid, roots->pid, NULL);
	table("nobody");
	own_mail("nobody");
	fflush(stdout);
	_exit(0);
}

int family_table(void)
{
	struct receiver roots;
	block_all();
	setpgid(0, 0);
	table("root");
	own_mail("root");
	open_receiver(&roots);
	fflush(stdout);
	must(reap(start(as_nobody, &roots)) == 0, "nobody");
	printf("root's");
	ask(&roots);
	close_receiver(&roots);
	return 0;
}
