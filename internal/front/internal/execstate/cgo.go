package execstate

/*
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned long long born_mask, born_ignored;
int born_closed;

// As the kernel has it; glibc's sigaction refuses 32 and 33.
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long long mask;
};

// The limits that a Go process runs into before it can say so, and how much it takes.
static struct {
	const char *name, *flag;
	int resource;
	rlim_t least;
} limits[] = {
	{"address space", "-v", RLIMIT_AS, 2ULL << 30},
	{"data", "-d", RLIMIT_DATA, 256ULL << 20},
	{"open files", "-n", RLIMIT_NOFILE, 24},
	{"processes", "-u", RLIMIT_NPROC, 0},
	{"CPU time", "-t", RLIMIT_CPU, 0},
};

enum { limit_count = sizeof limits / sizeof *limits };

// What COMMAND is to get back: "RESOURCE:SOFT:HARD," for each.
char born_limits[limit_count * 64];

// The last step to COMMAND where a signal has to be ignored that the supervisor
// cannot ignore, or limits were widened: PROGRAM __exec SIGNALS LIMITS PATH ARGV0 [ARG...]
static void exec_last(char **argv, char **envp) {
	unsigned long long set = strtoull(argv[2], NULL, 16);
	for (int sig = 1; sig <= 64; sig++)
		if (set >> (sig - 1) & 1)
			signal(sig, SIG_IGN);
	char *next = argv[3];
	while (*next && *next != '-') {
		int resource = strtol(next, &next, 10);
		struct rlimit old;
		old.rlim_cur = strtoull(next + 1, &next, 10);
		old.rlim_max = strtoull(next + 1, &next, 10);
		setrlimit(resource, &old);
		next++;
	}
	execve(argv[4], argv + 5, envp);
	dprintf(2, "pidfd-shim: run %s: %s\n", argv[5], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void refuse(const char *name, const char *flag) {
	dprintf(2, "pidfd-shim: run: the limit of %s (ulimit %s) is too low for a supervisor: "
		"raise it, and set it for COMMAND alone: run -- sh -c 'ulimit %s N; exec COMMAND'\n", name, flag, flag);
	_exit(125);
}

// widen takes for ourselves what may be had of the limits, and remembers what COMMAND had.
static void widen(void) {
	char *end = born_limits;
	for (int i = 0; i < limit_count; i++) {
		struct rlimit now, all = {RLIM_INFINITY, RLIM_INFINITY};
		if (getrlimit(limits[i].resource, &now) != 0 || now.rlim_cur == RLIM_INFINITY)
			continue;
		// Go raises the number of open files by itself, and gives it back.
		if (limits[i].resource == RLIMIT_NOFILE && now.rlim_max >= limits[i].least)
			continue;
		if (limits[i].resource == RLIMIT_NOFILE)
			all.rlim_cur = all.rlim_max = 4096;
		if (limits[i].resource == RLIMIT_NPROC) // which root has for others alone
			all.rlim_cur = all.rlim_max = now.rlim_max;
		if (setrlimit(limits[i].resource, &all) != 0) {
			all.rlim_cur = all.rlim_max = now.rlim_max;
			setrlimit(limits[i].resource, &all);
		}
		if (all.rlim_cur < limits[i].least)
			refuse(limits[i].name, limits[i].flag);
		if (all.rlim_cur != now.rlim_cur || all.rlim_max != now.rlim_max)
			end += sprintf(end, "%d:%llu:%llu,", limits[i].resource,
				(unsigned long long)now.rlim_cur, (unsigned long long)now.rlim_max);
	}
}

static void *wait_here(void *lock) {
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

// try_threads makes as many threads as our processes may have, where few are allowed.
static void try_threads(void) {
	struct rlimit now;
	if (getrlimit(RLIMIT_NPROC, &now) != 0 || now.rlim_cur > 1024)
		return;
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	enum { enough = 96 };
	pthread_t threads[enough];
	int n = 0;
	pthread_mutex_lock(&lock);
	while (n < enough && pthread_create(&threads[n], NULL, wait_here, &lock) == 0)
		n++;
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	if (n < enough)
		refuse("processes", "-u");
}

// prepare comes before the Go runtime reads its environment and starts its threads.
static void prepare(char **envp, int user) {
	static const char *const names[] = {"GODEBUG=", "GOTRACEBACK=", "GOMAXPROCS=", "GOMEMLIMIT=", "GOGC="};
	for (; *envp; envp++)
		for (size_t i = 0; i < sizeof names / sizeof *names; i++)
			if (strncmp(*envp, names[i], strlen(names[i])) == 0)
				**envp = 1; // what is COMMAND's: see Environment
	int scheduler = sched_getscheduler(0);
	if (scheduler == 6 && !(scheduler & 0x40000000)) { // SCHED_DEADLINE, SCHED_RESET_ON_FORK
		dprintf(2, "pidfd-shim: run: under the deadline scheduler no process can start another: "
			"give it to COMMAND alone: run -- chrt --deadline ... COMMAND\n");
		_exit(125);
	}
	mallopt(M_ARENA_MAX, 1); // each takes 64 MB of address space
	widen();
	if (user)
		try_threads();
}

static volatile sig_atomic_t trapped;

static void on_trap(int sig) { trapped = 1; }

static void leave(char **argv) {
	while (*argv && strcmp(*argv, "run") != 0)
		argv++;
	_exit(*argv ? 125 : 1);
}

// check_sandbox: glibc makes threads by clone3 and falls back from it on ENOSYS alone, and
// libseccomp asks what there is by seccomp as soon as it is loaded. Where a filter around us
// traps either (SIGSYS), or gives another errno to the first, the Go runtime dies with a trace
// of every stack. Without arguments the kernel says EINVAL.
static void check_sandbox(char **argv) {
	struct sigaction catch = {.sa_handler = on_trap}, before;
	unsigned long long one = 1ULL << (SIGSYS - 1), mask; // glibc's would lose 32 and 33
	sigaction(SIGSYS, &catch, &before);
	syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, &mask, sizeof mask);
	syscall(SYS_seccomp, -1, 0, NULL);
	int traps_seccomp = trapped;
	int clone3 = syscall(SYS_clone3, NULL, 0) == -1 ? errno : 0;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
	sigaction(SIGSYS, &before, NULL);
	if (traps_seccomp)
		dprintf(2, "pidfd-shim: ask for seccomp: a seccomp filter around us traps it (SIGSYS), without which no call "
			"can be intercepted: run pidfd-shim outside of that sandbox\n");
	else if (trapped || (clone3 != 0 && clone3 != EINVAL && clone3 != ENOSYS))
		dprintf(2, "pidfd-shim: start a thread: a seccomp filter around us refuses clone3 (%s), without which the C "
			"library makes none: have that filter say ENOSYS, or take the build without cgo\n", trapped ? "SIGSYS" : strerror(clone3));
	else
		return;
	leave(argv);
}

__attribute__((constructor)) static void save_birth(int argc, char **argv, char **envp) {
	if (argc >= 6 && strcmp(argv[1], "__exec") == 0)
		exec_last(argv, envp);
	check_sandbox(argv);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "run") == 0 || strncmp(argv[1], "__", 2) == 0) {
			prepare(envp, argv[1][0] != '_');
			break;
		}
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &born_mask, sizeof born_mask);
	for (int sig = 1; sig <= 64; sig++) {
		struct kernel_sigaction old;
		if (syscall(SYS_rt_sigaction, sig, NULL, &old, sizeof old.mask) == 0 && old.handler == (void *)SIG_IGN)
			born_ignored |= 1ULL << (sig - 1);
	}
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			born_closed |= 1 << fd;
}
*/
import "C"

// CanExec: the constructor is there to be the last step to COMMAND.
const CanExec = true

// At returns what the constructor saw before the Go runtime started.
func At() State {
	return State{uint64(C.born_mask), uint64(C.born_ignored), int(C.born_closed), C.GoString(&C.born_limits[0])}
}
