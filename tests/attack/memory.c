/* Callers whose memory or descriptors do not answer. */
#include "attack.h"
#include <linux/userfaultfd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* Who has no privilege for it may have been given the device (since 6.1). */
static int silent_fd(void)
{
	const char *device = getenv("ATTACK_USERFAULTFD");
	int fd = device ? ioctl(open(device, O_RDWR | O_CLOEXEC), USERFAULTFD_IOC_NEW, O_CLOEXEC)
	                : (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	must(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "userfaultfd");
	return fd;
}

/* A page that nobody will ever fill. */
void *silent_page(void)
{
	int fd = silent_fd();
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {.range = {(uintptr_t)at, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	must(at != MAP_FAILED && ioctl(fd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
	return at;
}

static atomic_int *ready;

static void hostile_caller(void *arg)
{
	const siginfo_t *info = silent_page();
	++*ready;
	send_signal(*(int *)arg, RT, info, 0);
	pause(); /* answered after all: stay, to be counted */
}

static void good_target(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* The worst latency of calls over a time, in microseconds, and of a hundred at least. */
static long worst_of(int fd, long ms, long *calls, long *wrong)
{
	long long end = now_us() + ms * 1000;
	long worst = 0, least = *calls + 100;
	siginfo_t info;
	while (now_us() < end || *calls < least) {
		long long from = now_us();
		long ret = send_signal(fd, 0, queued(&info, 0, 1), 0);
		long took = (long)(now_us() - from);
		if (took > worst)
			worst = took;
		++*calls;
		*wrong += ret != 0;
	}
	return worst;
}

static long processes_of(pid_t parent)
{
	char path[64];
	long n = 0;
	int pid;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	FILE *f = fopen(path, "r");
	while (f && fscanf(f, "%d", &pid) == 1)
		n++;
	if (f)
		fclose(f);
	return n;
}

/* The supervisor's children are ourselves and helpers: it has at most three, once those
   that it killed are reaped. */
static long children_left(void)
{
	long n;
	long long limit = now_us() + 60000000;
	while ((n = processes_of(supervisor)) > 4 && now_us() < limit)
		sched_yield();
	return n;
}

int hostile(void)
{
	long count = option("count", 1), calls = 0, wrong = 0;
	block_all();
	pid_t target = start(good_target, NULL);
	pid_t *callers = calloc((size_t)count, sizeof(*callers));
	int fd = pidfd_open_(target, 0);
	ready = shared(sizeof(*ready));
	worst_of(fd, 100, &calls, &wrong);
	say("threads_before", status_of(supervisor, "Threads"));
	say("rss_before", status_of(supervisor, "VmRSS"));
	callers[0] = start(hostile_caller, &fd);
	while (*ready == 0)
		sched_yield();
	say("first_us", worst_of(fd, 200, &calls, &wrong));
	for (long i = 1; i < count; i++)
		callers[i] = start(hostile_caller, &fd);
	while (*ready < count)
		usleep(1000);
	say("then_us", worst_of(fd, option("ms", 1000), &calls, &wrong));
	say("threads", status_of(supervisor, "Threads"));
	say("rss", status_of(supervisor, "VmRSS"));
	say("fds", open_fds(supervisor));
	long long killing = now_us();
	for (long i = 0; i < count; i++)
		kill(callers[i], SIGKILL);
	for (long i = 0; i < count; i++)
		reap(callers[i]);
	say("reaped_us", (long)(now_us() - killing));
	say("after_us", worst_of(fd, 300, &calls, &wrong));
	say("threads_after", status_of(supervisor, "Threads"));
	say("calls", calls);
	say("wrong", wrong);
	kill(target, SIGKILL);
	reap(target);
	say("children_after", children_left());
	return 0;
}

/* It holds its lock for as long as nobody fills the page. */
static void epoll_into_silence(void *epoll)
{
	struct epoll_event *into = silent_page();
	++*ready;
	epoll_wait(*(int *)epoll, into, 1, -1);
}

static int swapped[3]; /* the number that is called with, and what it is in turn */

static void *swaps(void *arg)
{
	(void)arg;
	for (unsigned i = 0;; i++)
		dup2(swapped[1 + i % 2], swapped[0]);
	return NULL;
}

static atomic_long *swap_calls;

static void calls_while_swapped(void *arg)
{
	pthread_t thread;
	must(pthread_create(&thread, NULL, swaps, NULL) == 0, "pthread_create");
	for (;;) {
		send_signal(*(int *)arg, 0, NULL, 0);
		++*swap_calls;
	}
}

/* How many of the supervisor's threads are in a wait that nothing ends, each time one looks. */
static long unending(void)
{
	long least = 1000;
	for (int i = 0; i < 5; i++) {
		char command[96], text[32] = "";
		snprintf(command, sizeof(command), "cat /proc/%d/task/*/stat 2>/dev/null | grep -c ') D'", supervisor);
		FILE *f = popen(command, "r");
		must(f && fgets(text, sizeof(text), f) != NULL, "popen");
		pclose(f);
		least = atol(text) < least ? atol(text) : least;
		usleep(10000);
	}
	return least;
}

/* A descriptor that is a pidfd, and an epoll whose lock is held, in turn. */
int swap_epoll(void)
{
	long calls = 0, wrong = 0;
	block_all();
	pid_t target = start(good_target, NULL);
	int fd = pidfd_open_(target, 0), epoll = epoll_create1(0), counter = eventfd(1, 0);
	struct epoll_event event = {.events = EPOLLIN};
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, counter, &event) == 0, "epoll_ctl");
	ready = shared(sizeof(*ready));
	swap_calls = shared(sizeof(*swap_calls));
	swapped[0] = dup(fd), swapped[1] = fd, swapped[2] = epoll;
	pid_t others[] = {start(hostile_caller, &fd), start(epoll_into_silence, &epoll), 0};
	while (*ready < 2)
		sched_yield();
	worst_of(fd, 200, &calls, &wrong); /* from now on the supervisor suspects us */
	others[2] = start(calls_while_swapped, swapped);
	for (long before = -1; before < *swap_calls && *swap_calls < option("calls", 500);) { /* until it comes no further */
		before = *swap_calls;
		worst_of(fd, 200, &calls, &wrong);
	}
	say("swap_calls", *swap_calls);
	say("unending", unending());
	say("wrong", wrong);
	for (int i = 0; i < 3; i++) {
		kill(others[i], SIGKILL);
		reap(others[i]);
	}
	kill(target, SIGKILL);
	reap(target);
	return 0;
}

/* Descriptors of other kinds: EBADF, at once. */
int weird(void)
{
	int pipes[2];
	must(pipe(pipes) == 0, "pipe");
	int fds[] = {
		open("/dev/ptmx", O_RDWR | O_NOCTTY), pipes[0], pipes[1], epoll_create1(0), eventfd(0, 0), silent_fd(),
		pidfd_open_(getpid(), 0), open("/proc/self", O_PATH | O_DIRECTORY), open("/proc", O_RDONLY | O_DIRECTORY),
		open("/proc/self/status", O_RDONLY), open("/proc/self/task", O_RDONLY), open("/", O_RDONLY), open("/proc/self/task/1", O_RDONLY),
		open("/proc/self/ns/pid", O_RDONLY), open("/proc/sys", O_RDONLY), open("/proc/self/fd", O_RDONLY), -1, -100, 1 << 30,
	};
	long slowest = 0;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[6]);
	fds[6] = open(path, O_PATH); /* a pidfd opened again with O_PATH */
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		siginfo_t info;
		long long from = now_us();
		printf("%zu %s", i, name_of(send_signal(fds[i], 0, NULL, 0)));
		printf(" %s\n", name_of(send_signal(fds[i], RT, queued(&info, RT, 1), 0)));
		if (now_us() - from > slowest)
			slowest = (long)(now_us() - from);
	}
	say("slowest_us", slowest);
	return 0;
}
