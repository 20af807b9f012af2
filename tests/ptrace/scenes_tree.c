// Ways in which tasks come and go.
#include "tree.h"
#include <linux/sched.h>

static void leave(const char *who) {
	call(who, getpid(), 0);
	_exit(7);
}

static void play_say(char **args) { call(args[0], getpid(), 0); }

static void play_fork(char **args) {
	(void)args;
	pid_t pid = fork();
	if (pid == 0)
		leave("child");
	await("child", pid, WEXITED);
	call("parent", getpid(), 0);
}

static void play_vfork(char **args) {
	(void)args;
	pid_t pid = vfork();
	if (pid == 0) {
		execl(self, self, "say", "exec after vfork", NULL);
		_exit(1);
	}
	await("child", pid, WEXITED);
	call("parent", getpid(), 0);
}

static int cloned(void *arg) {
	call(arg, getpid(), 0);
	return 5;
}

static void play_clone(char **args) {
	(void)args;
	static char stack[1 << 16] __attribute__((aligned(16)));
	static const int flags[] = {SIGCHLD, 0, CLONE_VM | SIGCHLD, CLONE_VM | CLONE_VFORK | SIGUSR1, CLONE_PARENT_SETTID | CLONE_FS};
	signal(SIGUSR1, SIG_IGN);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		pid_t tid, pid = clone(cloned, stack + sizeof stack, flags[i], "clone", &tid);
		must(pid > 0, "clone");
		await("clone", pid, WEXITED);
	}
}

static void play_clone3(char **args) {
	(void)args;
	struct clone_args a = {.exit_signal = SIGCHLD};
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);
	must(pid >= 0, "clone3");
	if (pid == 0)
		leave("clone3");
	await("clone3", pid, WEXITED);
}

// A child's child that is ours.
static void play_clone_parent(char **args) {
	(void)args;
	static char stack[1 << 16] __attribute__((aligned(16)));
	int fds[2];
	must(pipe(fds) == 0, "pipe");
	pid_t brother = 0, pid = fork();
	if (pid == 0) {
		brother = clone(cloned, stack + sizeof stack, CLONE_PARENT | SIGCHLD, "clone with its parent's parent");
		_exit(write(fds[1], &brother, sizeof brother) != sizeof brother);
	}
	must(read(fds[0], &brother, sizeof brother) == sizeof brother && brother > 0, "clone");
	await("brother", brother, WEXITED);
	await("child", pid, WEXITED);
}

static void *many_calls(void *arg) {
	for (int i = 0; i < 25; i++)
		must(send_quietly(getpid(), 0, NULL) == 0, "call in a thread");
	return arg;
}

static void play_threads(char **args) {
	(void)args;
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		must(pthread_create(&threads[i], NULL, many_calls, NULL) == 0, "pthread_create");
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	say("QUIET 200");
}

static void *exec_in_thread(void *arg) {
	call("thread before exec", getpid(), 0);
	execl(self, self, "say", "thread's exec", NULL);
	return arg;
}

static void play_thread_exec(char **args) {
	(void)args;
	pthread_t threads[4];
	// The others are there to be killed by exec, in the middle of calls.
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, (void *(*)(void *))(void *)pause, NULL);
	pthread_create(&threads[3], NULL, exec_in_thread, NULL);
	pthread_join(threads[3], NULL);
}

static void *busy_exec(void *arg) {
	usleep(0);
	execl(self, self, "say", "exec beside calls", NULL);
	return arg;
}

// The leader makes calls while another thread's exec takes its id away.
static void play_thread_exec_busy(char **args) {
	(void)args;
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t thread;
			int fd = syscall(SYS_pidfd_open, getpid(), 0);
			pthread_create(&thread, NULL, busy_exec, NULL);
			for (;;)
				syscall(NR_SEND, fd, 0, NULL, 0);
		}
		await("round", pid, WEXITED);
	}
}

static void *outlive(void *arg) {
	pid_t leader = *(pid_t *)arg;
	char path[64], stat[512] = "";
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", leader);
	while (!strstr(stat, ") Z ")) {
		int fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, stat, sizeof stat - 1) <= 0)
			break;
		close(fd);
	}
	call("after the leader", leader, 0);
	exit(9);
}

static void play_leader_exits(char **args) {
	(void)args;
	pid_t pid = fork();
	if (pid == 0) {
		static pid_t leader;
		pthread_t thread;
		leader = getpid();
		pthread_create(&thread, NULL, outlive, &leader);
		syscall(SYS_exit, 0);
	}
	await("process", pid, WEXITED);
}

// COMMAND ends first; the driver reads until the last holder of stdout has ended.
static void play_daemon(char **args) {
	(void)args;
	pid_t command = getpid();
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			while (kill(command, 0) == 0)
				sched_yield();
			call("daemon", getpid(), 0);
		}
		_exit(0);
	}
	wait(NULL);
}

static void play_pidns(char **args) {
	(void)args;
	must(unshare(CLONE_NEWPID) == 0, "unshare");
	pid_t init = fork();
	if (init == 0) {
		for (int i = 0; i < 3; i++) {
			int sig = ((int[]){SIGSTOP, SIGKILL, SIGTERM})[i];
			if (fork() == 0) {
				siginfo_t forged = {.si_signo = sig, .si_code = SI_QUEUE}; // si_pid 0: from outside
				call("to init", 1, sig);
				say("forged: %d", send_quietly(1, sig, &forged));
				say("QUIET 1");
				say("kill: %d", kill(1, sig));
				_exit(getpid());
			}
			wait(NULL);
		}
		call("init", 1, 0);
		_exit(4);
	}
	await("init", init, WEXITED | WSTOPPED);
}

static void play_setuid(char **args) {
	pid_t pid = fork();
	if (pid == 0) {
		must(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
		execl(args[0], args[0], "ids", NULL);
		must(0, "exec the set-uid program");
	}
	await("set-uid program", pid, WEXITED);
}

static void play_ids(char **args) {
	(void)args;
	say("uid %d euid %d", getuid(), geteuid());
	call("set-uid program", getpid(), 0);
	call("set-uid program to its parent", getppid(), 0);
}

static void play_dumpable(char **args) {
	(void)args;
	prctl(PR_SET_DUMPABLE, 0);
	call("not dumpable", getpid(), 0);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
	info.si_value.sival_int = 4711;
	say("CALL with siginfo: %d", send_quietly(getpid(), SIGRTMIN, &info));
	memset(&info, 0, sizeof info);
	sigwaitinfo(&set, &info);
	say("got %d value %d", info.si_code, info.si_value.sival_int);
}

const struct scene tree_scenes[] = {
	{"say", play_say}, {"fork", play_fork}, {"vfork", play_vfork}, {"clone", play_clone}, {"clone3", play_clone3},
	{"clone-parent", play_clone_parent},
	{"threads", play_threads}, {"thread-exec", play_thread_exec}, {"thread-exec-busy", play_thread_exec_busy},
	{"leader-exits", play_leader_exits}, {"daemon", play_daemon}, {"pidns", play_pidns}, {"setuid", play_setuid},
	{"ids", play_ids}, {"dumpable", play_dumpable}, {NULL, NULL},
};
