// Signals: stops, what they carry, what they interrupt.
#include "tree.h"

static volatile sig_atomic_t handled;

static void handler(int sig) {
	(void)sig;
	handled++;
}

static void install(int sig, int flags) {
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};
	must(sigaction(sig, &act, NULL) == 0, "sigaction");
}

static void play_stops(char **args) {
	(void)args;
	static const int stops[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	setpgid(0, 0);
	volatile int *counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			++*counter;
	}
	setpgid(pid, pid);
	for (int i = 0; i < 4; i++) {
		call("stop", pid, stops[i]);
		await("child", pid, WSTOPPED);
		int before = *counter;
		call("signal 0 to the stopped", pid, 0);
		say("runs while stopped: %d", *counter != before);
		call("continue", pid, SIGCONT);
		await("child", pid, WCONTINUED);
		while (*counter == before)
			;
	}
	call("stop", pid, SIGSTOP);
	await("child", pid, WSTOPPED);
	call("kill", pid, SIGKILL);
	await("child", pid, WEXITED);
}

// A process stops itself, and all its threads with it.
static void play_self_stop(char **args) {
	(void)args;
	volatile int *seen_going = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		pthread_create(&thread, NULL, (void *(*)(void *))(void *)pause, NULL);
		int result = send_quietly(getpid(), SIGSTOP, NULL);
		while (!*seen_going)
			sched_yield();
		say("CALL self: %d", result);
		_exit(3);
	}
	await("child", pid, WSTOPPED | WEXITED);
	call("continue", pid, SIGCONT);
	await("child", pid, WCONTINUED);
	*seen_going = 1;
	await("child", pid, WEXITED);
}

static siginfo_t seen;

static void look(int sig, siginfo_t *info, void *context) {
	(void)sig;
	(void)context;
	seen = *info;
}

static void play_siginfo(char **args) {
	(void)args;
	struct sigaction act = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
	sigaction(SIGRTMIN, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGCHLD, &act, NULL);
	siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
	info.si_pid = 4321, info.si_uid = 77, info.si_value.sival_int = 0x1234567;
	say("CALL queue: %d", send_quietly(getpid(), SIGRTMIN, &info));
	say("code %d pid %d uid %d value %#x", seen.si_code, seen.si_pid, seen.si_uid, seen.si_value.sival_int);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 99});
	say("code %d own pid %d value %d", seen.si_code, seen.si_pid == getpid(), seen.si_value.sival_int);
	call("plain", getpid(), SIGRTMIN);
	say("code %d own pid %d uid %d", seen.si_code, seen.si_pid == getpid(), seen.si_uid);
	raise(SIGRTMIN);
	say("code %d own pid %d", seen.si_code, seen.si_pid == getpid());
	pid_t pid = fork();
	if (pid == 0)
		_exit(6);
	while (*(volatile int *)&seen.si_signo != SIGCHLD)
		sched_yield();
	say("code %d its pid %d status %d", seen.si_code, seen.si_pid == pid, seen.si_status);
}

static void play_queue(char **args) {
	(void)args;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 500; i++) {
		siginfo_t info = {.si_signo = SIGRTMIN + 1, .si_code = SI_QUEUE};
		info.si_value.sival_int = i;
		must(send_quietly(getpid(), SIGRTMIN + 1, &info) == 0, "queue");
	}
	for (int i = 0; i < 500; i++) {
		siginfo_t info;
		must(sigwaitinfo(&set, &info) > 0 && info.si_value.sival_int == i, "value in order");
	}
	struct timespec now = {0};
	siginfo_t info;
	say("QUIET 500, then %d", sigtimedwait(&set, &info, &now));
}

// The handler has run before the call returns to the caller's code.
static void play_order(char **args) {
	(void)args;
	install(SIGUSR1, 0);
	int late = 0;
	for (int i = 1; i <= 500; i++) {
		must(send_quietly(getpid(), SIGUSR1, NULL) == 0, "call");
		late += handled != i;
	}
	say("QUIET 500 late %d", late);
}

// What interrupts: a child sends sig when its parent sleeps in the kernel, waits until it
// sleeps again or has gone on, and ends the wait by the pipe.
static int interrupt(int sig, int pipe_end) {
	pid_t parent = getpid(), pid = fork();
	if (pid)
		return pid;
	asleep(parent);
	send_quietly(parent, sig, NULL);
	if (sig == SIGSTOP)
		send_quietly(parent, SIGCONT, NULL);
	asleep(parent);
	if (write(pipe_end, "x", 1) != 1)
		_exit(1);
	_exit(0);
}

static void wait_in(const char *what, int fd, int ends_early) {
	char byte;
	int result = -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec time = {.tv_nsec = 50000000}, left = {0};
	if (ends_early)
		time.tv_sec = 60; // however late the child comes
	if (strcmp(what, "read") == 0) {
		result = read(fd, &byte, 1);
	} else if (strcmp(what, "poll") == 0) {
		result = poll(&p, 1, 60000);
	} else if (strcmp(what, "nanosleep") == 0) {
		result = nanosleep(&time, &left);
	} else {
		int epoll = epoll_create1(0);
		struct epoll_event event = {.events = EPOLLIN};
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		result = epoll_wait(epoll, &event, 1, strcmp(what, "epoll") ? 60000 : -1);
		int saved = errno;
		close(epoll);
		errno = saved;
	}
	say("%s: %d %s, handled %d", what, result, result < 0 ? strerrorname_np(errno) : "", handled);
}

static void play_restart(char **args) {
	int flags = strcmp(args[1], "restart") ? 0 : SA_RESTART, sig = SIGUSR1, fds[2];
	must(pipe(fds) == 0, "pipe");
	if (strcmp(args[1], "ignored") == 0)
		signal(sig, SIG_IGN);
	else if (strcmp(args[1], "default") == 0)
		sig = SIGWINCH;
	else if (strcmp(args[1], "stop") == 0)
		sig = SIGSTOP;
	else
		install(sig, flags);
	pid_t pid = interrupt(sig, fds[1]);
	close(fds[1]);
	wait_in(args[0], fds[0], strcmp(args[1], "handled") == 0);
	say("QUIET %d", 1 + (sig == SIGSTOP));
	char byte; // where the wait ended early the child waits for us to sleep again
	must(read(fds[0], &byte, 1) >= 0, "read the rest");
	while (waitpid(pid, NULL, 0) < 0)
		;
}

const struct scene stop_scenes[] = {
	{"stops", play_stops}, {"self-stop", play_self_stop}, {"siginfo", play_siginfo}, {"queue", play_queue},
	{"order", play_order}, {"restart", play_restart}, {NULL, NULL},
};
