/* Some enter a Landlock domain that forbids signals to those outside of it; the others do
 * not. Each line is one caller and the results of its calls, by descriptor and by number. */
#include "attack.h"

static struct whom mark;

static long enter_domain(void)
{
	struct { uint64_t fs, net, scoped; } rules = {0, 0, 2 /* LANDLOCK_SCOPE_SIGNAL */};
	long fd = syscall(444 /* landlock_create_ruleset */, &rules, sizeof(rules), 0);
	if (fd < 0)
		return -errno;
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	must(syscall(446 /* landlock_restrict_self */, fd, 0) == 0, "landlock_restrict_self");
	close((int)fd);
	return 0;
}

static void calls(const char *who, const struct whom *at)
{
	siginfo_t info;
	long queued_ = send_signal(at->fd, RT, queued(&info, RT, 1), 0), plain = send_signal(at->fd, SIGUSR1, NULL, 0);
	long number = kill(at->pid, SIGUSR1) == 0 ? 0 : -errno, nothing = send_signal(at->fd, 0, NULL, 0);
	printf("%s: %s %s", who, name_of(queued_), name_of(plain));
	printf(" %s %s\n", name_of(number), name_of(nothing));
	fflush(stdout);
}

static void waits(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void child(const char *who, void (*first)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (first)
			first();
		calls(who, &mark);
		_exit(0);
	}
	reap(pid);
}

static void meet_mark(struct whom *m)
{
	m->pid = m->tid = start(waits, NULL);
	m->fd = pidfd_open_(m->pid, 0);
}

static void inside(void)
{
	struct whom own;
	must(enter_domain() == 0, "landlock");
	meet_mark(&own);
	calls("confined, to its child", &own);
	child("a child of the confined", NULL);
	kill(own.pid, SIGKILL);
}

static atomic_int confined;

static void *confines_itself(void *arg)
{
	(void)arg;
	must(enter_domain() == 0, "landlock");
	calls("a thread in a domain", &mark);
	child("its child", NULL);
	confined = 1;
	while (confined < 2)
		usleep(1000);
	return NULL;
}

static void by_thread(void)
{
	pthread_t thread;
	must(pthread_create(&thread, NULL, confines_itself, NULL) == 0, "pthread_create");
	while (confined < 1)
		usleep(1000);
	calls("beside a thread in a domain", &mark);
	child("a child from beside it", NULL);
	confined = 2;
	pthread_join(thread, NULL);
}

/* An older task that calls when it is told to, and so cannot be in any domain. */
static int orders[2], done[2];
static void older(void *arg)
{
	char c;
	(void)arg;
	while (read(orders[0], &c, 1) == 1) {
		calls(c == 'a' ? "older, before" : "older, afterwards", &mark);
		must(write(done[1], &c, 1) == 1, "write");
	}
}

static void tell(char c)
{
	fflush(stdout);
	must(write(orders[1], &c, 1) == 1 && read(done[0], &c, 1) == 1, "pipe");
}

int confine(void)
{
	block_all();
	must(pipe(orders) == 0 && pipe(done) == 0, "pipe");
	meet_mark(&mark);
	pid_t old = start(older, NULL);
	tell('a');
	calls("before", &mark);
	child("confined", inside);
	calls("its parent", &mark);
	tell('b');
	child("born afterwards", NULL);
	child("of several threads", by_thread);
	calls("at last", &mark);
	tell('b');
	kill(old, SIGKILL);
	kill(mark.pid, SIGKILL);
	return 0;
}
