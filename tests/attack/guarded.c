/*
 * What a policy guards: the victim, a process outside the sandbox (option victim=PID, and
 * its pidfd if it is handed in as 3), and a friend inside, who may be signalled. Denials
 * are EACCES, which the kernel never says here.
 */
#include "attack.h"
#include <linux/sched.h>
#include <sys/socket.h>

struct whom victim, friend;

/* Counted together by all who are forked after meet(): in the file counts=PATH, if there is
   one, which outlives them. */
static struct {
	atomic_int attempts, through, odd, friendly, refused;
	atomic_int closed, stop; /* told by whom the file is of */
} *n;

static void waits(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void *waits_thread(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	waits(NULL);
	return NULL;
}

/* The victim itself, outside: says its second thread's number and waits. */
int guarded(void)
{
	pthread_t thread;
	pid_t tid = 0;
	block_all();
	setsid(); /* and a group of its own */
	pthread_create(&thread, NULL, waits_thread, &tid);
	while (*(volatile pid_t *)&tid == 0)
		sched_yield();
	say("tid", tid);
	fflush(stdout);
	waits(NULL);
	return 0;
}

pid_t befriend(struct whom *into)
{
	into->pid = into->tid = start(waits, NULL);
	setpgid(into->pid, into->pid);
	into->fd = pidfd_open_(into->pid, 0);
	must(into->fd >= 0, "pidfd_open");
	return into->pid;
}

static void is_guarded(void *arg)
{
	must(setresuid(4242, 4242, 4242) == 0, "setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* reset with the ids */
	*(atomic_int *)arg = 1;
	waits(NULL);
}

pid_t guard_inside(struct whom *into)
{
	atomic_int *ready = shared(sizeof(*ready));
	into->pid = into->tid = start(is_guarded, ready);
	setpgid(into->pid, into->pid);
	while (!*ready)
		sched_yield();
	into->fd = pidfd_open_(into->pid, 0);
	must(into->fd >= 0, "pidfd_open");
	return into->pid;
}

/* Everything that waits for the process or its leader; ~0 if it has ended or is stopped. */
uint64_t pending_of(pid_t pid)
{
	char path[40], line[256], state = 'X';
	unsigned long long own = 0, all = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "State: %c", &state);
		sscanf(line, "SigPnd: %llx", &own);
		sscanf(line, "ShdPnd: %llx", &all);
	}
	if (f)
		fclose(f);
	return state == 'X' || state == 'Z' || state == 'T' ? ~0ULL : own | all;
}

pid_t fork_numbered(pid_t number)
{
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1};
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void *counts(void)
{
	const char *path = word_option("counts");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (!path)
		return shared(sizeof(*n));
	void *at = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(at != MAP_FAILED, path);
	return at;
}

void meet(void)
{
	n = counts();
	block_all();
	victim.pid = victim.tid = (pid_t)option("victim", 0);
	must(victim.pid > 0, "victim=PID");
	victim.fd = option("handed", 0) ? 3 : pidfd_open_(victim.pid, 0);
	must(victim.fd >= 0, "pidfd_open");
	befriend(&friend);
}

void counted(long ret)
{
	n->attempts++;
	n->through += ret == 0;
	n->odd += ret != 0 && ret != -EACCES;
	if (ret != -EACCES && option("show", 0))
		fprintf(stderr, "attempt %d: %s\n", n->attempts, name_of(ret));
}

int is_closed(void) { return n->closed; }

int told_to_stop(void) { return n->stop; }

void attempted(int hit)
{
	n->attempts++;
	n->through += hit;
}

void counted_friendly(long ret)
{
	n->friendly += ret == 0;
	n->refused += ret != 0;
	if (ret != 0 && option("show", 0))
		fprintf(stderr, "friend: %s\n", name_of(ret));
}

/* Every call by every way this kernel has, with each signal; the friend is not killed. */
void strike_all(const struct whom *at, void (*count)(long), int deadly)
{
	static const int sigs[] = {0, SIGUSR1, SIGCONT, SIGTERM, RT, SIGSTOP, SIGKILL};
	for (enum way way = 0; way < WAYS; way++) {
		if (!has_way(way))
			continue;
		for (size_t s = 0; s < (deadly ? 7 : 2); s++)
			for (enum call call = 0; call < CALLS; call++)
				count(strike(way, call, at, sigs[s], 0));
		for (unsigned flags = 0; flags <= 4; flags = flags ? flags * 2 : 1)
			count(strike(way, SEND, at, SIGUSR1, WITHOUT_INFO | flags));
	}
}

int summary(void)
{
	say("attempts", n->attempts);
	say("through", n->through);
	say("odd", n->odd);
	say("friendly", n->friendly);
	say("refused", n->refused);
	if (friend.pid)
		kill(friend.pid, SIGKILL);
	return 0;
}

/* Each way into the kernel. */
int every_way(void)
{
	meet();
	if (option("undumpable", 0))
		prctl(PR_SET_DUMPABLE, 0);
	strike_all(&victim, counted, 1);
	strike_all(&friend, counted_friendly, 0);
	say("ways", has_way(BY_LIBC) + has_way(BY_INT80) + has_way(BY_X32) + has_way(BY_FAR_JUMP));
	return summary();
}

/* Another program: helper=PATH, of the other width or set-uid. */
int by_helper(void)
{
	char word[32];
	const char *path = word_option("helper");
	meet();
	snprintf(word, sizeof(word), "victim=%d", victim.pid);
	if (option("uid", 0))
		must(setresuid((uid_t)option("uid", 0), (uid_t)option("uid", 0), (uid_t)option("uid", 0)) == 0, "setresuid");
	kill(friend.pid, SIGKILL);
	execl(path, path, "every-way", word, option("show", 0) ? "show=1" : NULL, NULL);
	must(0, path);
	return 1;
}

/* Through a socket: the descriptor is another number, the file the same. */
static int passed(int fd)
{
	int pair[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	give_fd(pair[0], fd);
	int got = take_fd(pair[1]);
	must(got >= 0, "recvmsg");
	return got;
}

static int reopened(int path_fd)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static void strike_fd(int fd)
{
	siginfo_t info;
	must(fd >= 0, "a descriptor of the victim");
	for (unsigned flags = 0; flags <= 4; flags = flags ? flags * 2 : 1)
		for (int i = 0; i < 4; i++) {
			int sig = i & 1 ? SIGKILL : RT;
			counted(send_signal(fd, sig, i & 2 ? queued(&info, sig, 1) : NULL, flags));
		}
}

/* Descriptors that came from outside, and of every kind. */
int handed(void)
{
	char path[40];
	meet();
	strike_fd(3);
	strike_fd(passed(3));
	strike_fd(passed(passed(3)));
	strike_fd(victim.fd);
	strike_fd(proc_dir(victim.pid));
	strike_fd(proc_dir((pid_t)option("tid", 0)));
	strike_fd(pidfd_open_((pid_t)option("tid", 0), PIDFD_THREAD));
	strike_fd(pidfd_open_(victim.pid, PIDFD_THREAD));
	snprintf(path, sizeof(path), "/proc/%d", victim.pid);
	int by_path = open(path, O_PATH | O_DIRECTORY);
	strike_fd(reopened(by_path));
	say("o_path", send_signal(by_path, RT, NULL, 0));
	snprintf(path, sizeof(path), "/proc/%d/task/%ld", victim.pid, option("tid", 0));
	say("task_dir", send_signal(open(path, O_RDONLY | O_DIRECTORY), RT, NULL, 0));
	counted_friendly(send_signal(-10000, 0, NULL, 0)); /* PIDFD_SELF_THREAD */
	counted_friendly(send_signal(-10001, RT, NULL, 0));
	return summary();
}
