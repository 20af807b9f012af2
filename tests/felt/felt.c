// Targets of signals, in waits that end with EINTR for anybody who stops or is woken: what
// does a target notice of a call beside its signal? Run natively, and under a policy that has
// to look at every target, each line must be the same.
//
// A target says that it is about to wait, and is seen to sleep before the call is made. When
// the call has returned, and the target sleeps or has ended, its wait is ended: none of them
// ends by time.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END (SIGRTMIN + 5) // ends waits for signals
enum { DEADLINE = 20 };    // seconds: of a wait that nothing ends

static const char *const waits[] = {"sigtimedwait", "sigwaitinfo", "signalfd", "epoll_wait", "semtimedop", "recv"};
static const char *const calls[] = {"424", "kill", "tgkill", "rt_sigqueueinfo"};

static const struct {
	const char *name;
	int sig;
	void (*how)(int); // SIG_ERR: a handler
	int blocked, waited;
} kinds[] = {
	{"zero", 0, SIG_DFL, 0, 0},
	{"ignored", SIGUSR1, SIG_IGN, 0, 1},
	{"ignored-rt", 40, SIG_IGN, 0, 1},
	{"ignored-by-default", SIGWINCH, SIG_DFL, 0, 1},
	{"cont", SIGCONT, SIG_DFL, 0, 1},
	{"blocked", SIGUSR2, SIG_DFL, 1, 0},
	{"blocked-ignored", SIGUSR2, SIG_IGN, 1, 0},
	{"waited", SIGUSR2, SIG_DFL, 1, 1},
	{"waited-ignored", SIGUSR2, SIG_IGN, 1, 1},
	{"handled", SIGUSR1, SIG_ERR, 0, 0},
};

static struct {
	volatile int ready, handled;
	int ret, err, signo, code, pid, value;
	int handler_code, handler_pid;
} *shared;

static pid_t caller;
static int pipes[2], sockets[2], semaphore;

static void handler(int sig, siginfo_t *info, void *context)
{
	shared->handled++;
	shared->handler_code = info->si_code;
	shared->handler_pid = info->si_pid == caller;
}

static int timed(const sigset_t *set, siginfo_t *info, int forever)
{
	struct timespec limit = {DEADLINE, 0};
	return syscall(SYS_rt_sigtimedwait, set, info, forever ? NULL : &limit, 8);
}

static void got(const siginfo_t *info)
{
	shared->signo = info->si_signo;
	shared->code = info->si_code;
	shared->pid = info->si_pid == caller;
	shared->value = info->si_code == SI_QUEUE ? info->si_int : 0;
}

static void wait_by(int how, const sigset_t *set)
{
	siginfo_t info;
	struct signalfd_siginfo read_info;
	struct pollfd polled[2] = {{.fd = pipes[0], .events = POLLIN}, {.events = POLLIN}};
	struct epoll_event event = {.events = EPOLLIN};
	struct sembuf down = {0, -1, 0};
	struct timespec limit = {DEADLINE, 0};
	struct timeval patience = {DEADLINE, 0};
	char byte;
	int fd, ret;
	switch (how) {
	case 0:
	case 1:
		shared->ready = 1;
		if ((ret = timed(set, &info, how)) > 0)
			got(&info);
		break;
	case 2:
		polled[1].fd = signalfd(-1, set, SFD_NONBLOCK);
		shared->ready = 1;
		ret = poll(polled, 2, DEADLINE * 1000);
		if (polled[1].revents && read(polled[1].fd, &read_info, sizeof read_info) > 0) {
			shared->signo = read_info.ssi_signo;
			shared->code = read_info.ssi_code;
			shared->pid = (pid_t)read_info.ssi_pid == caller;
		}
		break;
	case 3:
		fd = epoll_create1(0);
		epoll_ctl(fd, EPOLL_CTL_ADD, pipes[0], &event);
		shared->ready = 1;
		ret = epoll_wait(fd, &event, 1, DEADLINE * 1000);
		break;
	case 4:
		shared->ready = 1;
		ret = semtimedop(semaphore, &down, 1, &limit);
		break;
	default:
		setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		shared->ready = 1;
		ret = recv(sockets[0], &byte, 1, 0);
	}
	shared->err = ret < 0 ? errno : 0;
	shared->ret = ret;
}

static void target(int how, int kind)
{
	int sig = kinds[kind].sig;
	sigset_t blocked, set;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&blocked);
	sigaddset(&blocked, END);
	set = blocked;
	if (kinds[kind].blocked)
		sigaddset(&blocked, sig);
	if (kinds[kind].waited)
		sigaddset(&set, sig);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	if (sig) {
		struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART, .sa_sigaction = handler};
		if (kinds[kind].how != SIG_ERR) {
			action.sa_flags = 0;
			action.sa_handler = kinds[kind].how;
		}
		sigaction(sig, &action, NULL);
	}
	wait_by(how, &set);
	_exit(0);
}

// sleeps waits until the process does, or has ended.
static void sleeps(pid_t pid)
{
	char path[64], text[512], *state;
	sprintf(path, "/proc/%d/stat", pid);
	for (;;) {
		FILE *f = fopen(path, "r");
		size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
		if (f)
			fclose(f);
		text[n] = 0;
		state = strrchr(text, ')');
		if (state && shared->ready && (state[2] == 'S' || state[2] == 'Z'))
			return;
		sched_yield();
	}
}

static int send_by(int call, pid_t pid, int fd, int sig)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = sig;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_int = 7;
	switch (call) {
	case 0:
		return syscall(424, fd, sig, 0L, 0L);
	case 1:
		return kill(pid, sig);
	case 2:
		return syscall(SYS_tgkill, pid, pid, sig);
	}
	return syscall(SYS_rt_sigqueueinfo, pid, sig, &info);
}

static void end_wait(int how, pid_t pid)
{
	struct sembuf up = {0, 1, 0};
	switch (how) {
	case 0:
	case 1:
		kill(pid, END);
		break;
	case 2:
	case 3:
		write(pipes[1], "!", 1);
		break;
	case 4:
		semop(semaphore, &up, 1);
		break;
	default:
		send(sockets[1], "!", 1, 0);
	}
}

static void row(int how, int kind, int call)
{
	memset((void *)shared, 0, sizeof *shared);
	pipe(pipes);
	socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	pid_t pid = fork();
	if (pid == 0)
		target(how, kind);
	sleeps(pid);
	int fd = syscall(434, pid, 0), ret = send_by(call, pid, fd, kinds[kind].sig), err = ret ? errno : 0;
	sleeps(pid);
	end_wait(how, pid);
	waitpid(pid, NULL, 0);
	semctl(semaphore, 0, IPC_RMID);
	close(fd);
	close(pipes[0]), close(pipes[1]), close(sockets[0]), close(sockets[1]);
	printf("%s/%s/%s ret=%d errno=%d: ret=%d errno=%d signo=%d code=%d sender=%d value=%d handled=%d code=%d sender=%d\n",
	       waits[how], kinds[kind].name, calls[call], ret, err, shared->ret, shared->err, shared->signo, shared->code,
	       shared->pid, shared->value, shared->handled, shared->handler_code, shared->handler_pid);
}

// seize traces a target as soon as a call that names it has returned.
static void seize(int call, int sig, int times)
{
	int failed = 0;
	for (int i = 0; i < times; i++) {
		shared->ready = shared->handled = 0;
		pid_t pid = fork();
		if (pid == 0) {
			struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = handler};
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sigaction(SIGUSR1, &action, NULL);
			shared->ready = 1;
			for (;;)
				pause();
		}
		while (!shared->ready)
			sched_yield();
		int fd = syscall(434, pid, 0);
		send_by(call, pid, fd, sig);
		failed += ptrace(PTRACE_SEIZE, pid, 0L, 0L) != 0;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd);
	}
	printf("seize/%s/%d failed=%d\n", calls[call], sig, failed);
}

// itself has the process signal itself.
static void itself(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = handler};
	sigaction(SIGUSR1, &action, NULL);
	int fd = syscall(434, getpid(), 0);
	for (int call = 0; call < 4; call++) {
		shared->handled = 0;
		int ret = 0;
		for (int i = 0; i < 100; i++)
			ret |= send_by(call, getpid(), fd, SIGUSR1);
		printf("itself/%s ret=%d handled=%d code=%d sender=%d\n", calls[call], ret, shared->handled,
		       shared->handler_code, shared->handler_pid);
	}
	close(fd);
}

// init_row prints one call on the init of a pid namespace from inside, which is spared.
static void init_row(const char *who, int call, int sig)
{
	int fd = syscall(434, 1, 0), ret = send_by(call, 1, fd, sig);
	printf("init/%s/%s/%d ret=%d errno=%d\n", who, calls[call], sig, ret, ret ? errno : 0);
	close(fd);
}

// init is a pid namespace, in a user namespace of its own or not.
static void init(int flags)
{
	static const int sigs[] = {0, SIGSTOP, SIGKILL, SIGTERM};
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(flags) || (pid = fork()) < 0)
			_exit(1);
		if (pid == 0) {
			for (int inside = 1; inside >= 0; inside--) {
				pid_t child = inside ? fork() : 0;
				for (int call = 0; child == 0 && call < 4; call++)
					for (int i = 0; i < 4; i++)
						init_row(inside ? "inside" : "itself", call, sigs[i]);
				if (inside && child == 0)
					_exit(0);
				if (inside)
					waitpid(child, NULL, 0);
			}
			_exit(0);
		}
		while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
			printf("init stopped\n");
			kill(pid, SIGCONT);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 100;
	setlinebuf(stdout);
	caller = getpid();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int how = 0; how < 6; how++)
		for (int kind = 0; kind < sizeof kinds / sizeof *kinds; kind++)
			for (int call = 0; call < 4; call++)
				row(how, kind, call);
	for (int call = 0; call < 4; call++) {
		seize(call, 0, times);
		seize(call, SIGUSR1, times);
	}
	itself();
	init(CLONE_NEWPID);
	init(CLONE_NEWPID | CLONE_NEWUSER);
	return 0;
}
