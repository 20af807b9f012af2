// An end is seen when it can be waited for: each way to hear of one, and each kind of
// process that ends; then nobody may be missing. Each says how often somebody was.
#include "tree.h"
#include <sys/signalfd.h>

static int rounds;

static void *end_later(void *go) {
	char byte;
	if (read(*(int *)go, &byte, 1) < 0)
		_exit(81);
	_exit(3);
}

static void *exec_later(void *go) {
	char byte;
	if (read(*(int *)go, &byte, 1) < 0)
		_exit(81);
	execl(self, self, "say", "", NULL);
	_exit(82);
}

static void *stay(void *unused) {
	for (;;)
		pause();
	return unused;
}

static void threads(int n, void *(*start)(void *), int *go) {
	for (int i = 0; i < n; i++) {
		pthread_t thread;
		must(pthread_create(&thread, NULL, start, go) == 0, "pthread_create");
	}
}

// How a child ends when the pipe's other end is closed.
static void plain(int go) { end_later(&go); }
static void killed(int go) {
	char byte;
	must(read(go, &byte, 1) == 0, "read");
	kill(getpid(), SIGKILL);
}
static void threaded(int go) {
	threads(3, stay, NULL);
	end_later(&go);
}
static void leaderless(int go) { // the leader ends first, and the process with its thread
	static int in;
	in = go;
	threads(1, end_later, &in);
	syscall(SYS_exit, 0);
}
static void execs(int go) { // the leader is replaced by a thread that calls execve
	static int in;
	in = go;
	int out = open("/dev/null", O_WRONLY);
	dup2(out, 1);
	threads(1, exec_later, &in);
	stay(NULL);
}

static void grand(int go) { // whose parent is gone: its end is the subreaper's to see
	end_later(&go);
}

static const struct {
	const char *name;
	void (*live)(int go);
} kinds[] = {{"plain", plain}, {"killed", killed}, {"threaded", threaded}, {"leaderless", leaderless}, {"execs", execs}, {"grand", grand}};

static pid_t child(void (*live)(int), int *go) {
	int ends[2], says[2];
	pid_t pid;
	must(pipe(ends) == 0 && pipe(says) == 0, "pipe");
	pid_t first = fork();
	if (first == 0) {
		close(ends[1]);
		if (live == grand && (pid = fork()) != 0) {
			must(write(says[1], &pid, sizeof pid) == sizeof pid, "write");
			_exit(0);
		}
		live(ends[0]);
		_exit(83);
	}
	close(ends[0]), close(says[1]);
	pid = first;
	if (live == grand) {
		must(read(says[0], &pid, sizeof pid) == sizeof pid, "read");
		must(waitpid(first, NULL, 0) == first, "waitpid");
	}
	close(says[0]);
	*go = ends[1];
	return pid;
}

// Natively, too, the leader's end comes first here: a SIGKILL that finds it on its way out, as
// exit_group's by another thread does, ends the stop in which a tracer would let go of it.
static void leader_gone(pid_t pid) {
	char path[64], stat[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (char state = 0; state != 'Z'; sched_yield()) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, stat, sizeof stat - 1);
		close(fd);
		must(n > 0, "read stat");
		stat[n] = 0;
		state = strrchr(stat, ')')[2];
	}
}

static void drain(int fd, const sigset_t *chld) {
	struct signalfd_siginfo info;
	struct timespec none = {0};
	while (read(fd, &info, sizeof info) > 0)
		;
	while (sigtimedwait(chld, NULL, &none) > 0)
		;
}

static volatile sig_atomic_t caught;
static void catches(int sig) { caught = sig; }

// hear returns when the way tells of the end of a child.
static void hear(const char *way, int pidfd, int sfd, const sigset_t *chld) {
	struct signalfd_siginfo info;
	struct pollfd ready = {.fd = pidfd, .events = POLLIN};
	if (strcmp(way, "poll") == 0) {
		must(poll(&ready, 1, -1) == 1, "poll");
	} else if (strcmp(way, "epoll") == 0) {
		struct epoll_event event = {.events = EPOLLIN};
		int all = epoll_create1(0);
		must(all >= 0 && epoll_ctl(all, EPOLL_CTL_ADD, pidfd, &event) == 0 && epoll_wait(all, &event, 1, -1) == 1, "epoll");
		close(all);
	} else if (strcmp(way, "signalfd") == 0) {
		ready.fd = sfd;
		must(poll(&ready, 1, -1) == 1 && read(sfd, &info, sizeof info) == sizeof info, "signalfd");
	} else if (strcmp(way, "sigwait") == 0) {
		must(sigwaitinfo(chld, NULL) == SIGCHLD, "sigwaitinfo");
	} else if (strcmp(way, "handler") == 0) {
		sigset_t none;
		sigemptyset(&none);
		while (!caught)
			sigsuspend(&none);
	}
}

// found takes the child that has ended, by one call that does not wait.
static int found(const char *how, pid_t pid, int pidfd) {
	siginfo_t info = {0};
	if (strcmp(how, "wait4") == 0)
		return waitpid(pid, NULL, WNOHANG) == pid;
	if (strcmp(how, "any") == 0)
		return waitpid(-1, NULL, WNOHANG) == pid;
	idtype_t type = strcmp(how, "pidfd") == 0 ? 3 /* P_PIDFD */ : strcmp(how, "all") == 0 ? P_ALL : P_PID;
	return waitid(type, type == 3 ? pidfd : pid, &info, WEXITED | WNOHANG) == 0 && info.si_pid == pid;
}

static void one(const char *way, const char *how, const char *kind, void (*live)(int)) {
	sigset_t chld;
	int missed = 0;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signal(SIGCHLD, strcmp(way, "handler") == 0 ? catches : SIG_DFL);
	int sfd = signalfd(-1, &chld, SFD_NONBLOCK);
	for (int i = 0; i < rounds; i++) {
		int go;
		pid_t pid = child(live, &go);
		int pidfd = syscall(SYS_pidfd_open, pid, 0);
		must(pidfd >= 0, "pidfd_open");
		if (live == grand)
			drain(sfd, &chld);
		if (live == leaderless)
			leader_gone(pid);
		caught = 0;
		close(go);
		hear(way, pidfd, sfd, &chld);
		if (!found(how, pid, pidfd)) {
			missed++;
			waitpid(pid, NULL, 0);
		}
		drain(sfd, &chld);
		close(pidfd);
	}
	close(sfd);
	say("round: %s %s %s: missed %d", way, how, kind, missed);
}

static void ready(char **args) {
	static const char *const ways[][2] = {
		{"poll", "pidfd"}, {"poll", "pid"}, {"epoll", "all"}, {"signalfd", "wait4"}, {"sigwait", "any"}, {"handler", "pid"},
	};
	rounds = atoi(args[0]);
	must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "subreaper");
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++)
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			one(ways[w][0], ways[w][1], kinds[k].name, kinds[k].live);
}

const struct scene ready_scenes[] = {{"ready", ready}, {0}};
