// A program of many small parts: what commands do at their start, with signals, at their
// end; and how those who started them look at it. `play PART [ARG...]`.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
	perror(what);
	exit(99);
}

static void must(long result, const char *what) {
	if (result < 0)
		fail(what);
}

static pid_t start(char **argv) {
	pid_t pid = fork();
	must(pid, "fork");
	if (pid == 0) {
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	return pid;
}

// status PROGRAM...: how it ended, as its parent sees it.
static int part_status(char **argv) {
	int status;
	pid_t pid = start(argv);
	must(waitpid(pid, &status, 0), "waitpid");
	if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	else
		printf("status %d\n", WEXITSTATUS(status));
	return 0;
}

// within SECONDS PROGRAM...: whether it ends in time.
static int part_within(char **argv) {
	struct timespec begin, end;
	int status;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	must(waitpid(start(argv + 1), &status, 0), "waitpid");
	clock_gettime(CLOCK_MONOTONIC, &end);
	puts(end.tv_sec - begin.tv_sec <= atoi(argv[0]) ? "in time" : "late");
	return WEXITSTATUS(status);
}

// calls N [left]: signal 0 to itself N times; left: a process lives on for a second.
static int part_calls(char **argv) {
	if (argv[1] && fork() == 0) {
		close(1);
		close(2);
		sleep(1);
		_exit(0);
	}
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	must(fd, "pidfd_open");
	for (int i = atoi(argv[0]); i > 0; i--)
		must(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), "pidfd_send_signal");
	return 0;
}

// pdeathsig SIGNAL PROGRAM...: the program, which gets SIGNAL when its parent dies.
static int part_pdeathsig(char **argv) {
	must(prctl(PR_SET_PDEATHSIG, atoi(argv[0])), "prctl");
	execvp(argv[1], argv + 1);
	fail(argv[1]);
	return 1;
}

static void rest(int milliseconds) {
	struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

// pause MILLISECONDS
static int part_pause(char **argv) {
	if (write(3, "ready\n", 6) > 0)
		close(3);
	rest(atoi(argv[0]));
	return 0;
}

// state is a process's in /proc, and its parent and group.
static char state(int pid, int *parent, int *group) {
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	int n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	char s = 0;
	sscanf(strrchr(text, ')') + 2, "%c %d %d", &s, parent, group);
	return s;
}

// reaper PROGRAM...: runs it in a group of its own and reaps all that is left of it.
static int part_reaper(char **argv) {
	must(setpgid(0, 0), "setpgid");
	must(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
	pid_t pid = start(argv);
	for (int status;;)
		if (wait(&status) == pid)
			return WEXITSTATUS(status);
}

// zombies MILLISECONDS: in its process group, or with a parent in it, after so long.
static int part_zombies(char **argv) {
	int dead = 0, parent, group;
	// Natively they are this program's children, if it reaps as an init does.
	for (int left = atoi(argv[0]); left > 0; left -= 10) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		rest(10);
	}
	DIR *proc = opendir("/proc");
	for (struct dirent *e; proc && (e = readdir(proc));)
		if (state(atoi(e->d_name), &parent, &group) == 'Z' && group == getpgrp())
			dead++;
	printf("%d zombies\n", dead);
	return 0;
}

// start_ready starts a program, which says on descriptor 3 that it is ready.
static pid_t start_ready(char **argv, int *out) {
	int pipes[2];
	char line[64];
	must(pipe2(pipes, O_CLOEXEC), "pipe2");
	pid_t pid = fork();
	must(pid, "fork");
	if (pid == 0) {
		dup2(pipes[1], 3);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	close(pipes[1]);
	must(read(pipes[0], line, sizeof line), "read");
	*out = pipes[0];
	return pid;
}

static int number(const char *name) {
	static const struct {
		const char *name;
		int sig;
	} names[] = {{"TERM", SIGTERM}, {"HUP", SIGHUP}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i].name) == 0)
			return names[i].sig;
	return atoi(name);
}

static void ready(void) {
	if (write(3, "ready\n", 6) > 0)
		close(3);
}

static volatile sig_atomic_t got[65];

static void count(int sig) { got[sig]++; }

// count FILE [MILLISECONDS]: ends gracefully some time after the first signal, and writes how many of which
// it got.
static int part_count(char **argv) {
	struct sigaction act = {.sa_handler = count};
	for (int sig = 1; sig < 65; sig++)
		sigaction(sig, &act, NULL);
	ready();
	for (int any = 0; !any; rest(argv[1] ? atoi(argv[1]) : 500))
		for (int sig = 1; sig < 65; sig++)
			any |= got[sig];
	FILE *f = fopen(argv[0], "w");
	for (int sig = 1; sig < 65; sig++)
		if (got[sig])
			fprintf(f, "%d: %d\n", sig, got[sig]);
	fclose(f);
	return 3;
}

static int children_of(int pid, int *list, int n) {
	int parent, group, found = 0;
	DIR *proc = opendir("/proc");
	for (struct dirent *e; proc && (e = readdir(proc));)
		if (atoi(e->d_name) > 0 && state(atoi(e->d_name), &parent, &group) && parent == pid && found < n)
			list[found++] = atoi(e->d_name);
	closedir(proc);
	return found;
}

// tree lists a process and all below it.
static int tree(int pid, int *list, int n) {
	int found = 1;
	list[0] = pid;
	for (int i = 0; i < found; i++)
		found += children_of(list[i], list + found, n - found);
	return found;
}

static int ending(pid_t pid) {
	int status;
	must(waitpid(pid, &status, 0), "waitpid");
	if (WIFSIGNALED(status))
		printf("signal %d\n", WTERMSIG(status));
	else
		printf("status %d\n", WEXITSTATUS(status));
	return 0;
}

// everybody SIGNAL PROGRAM...: the program's main process gets the signal, then everybody
// else of it, as a service manager does.
static int part_everybody(char **argv) {
	int out, list[64], sig = number(argv[0]);
	pid_t pid = start_ready(argv + 1, &out);
	int n = tree(pid, list, 64);
	kill(pid, sig);
	for (int i = 1; i < n; i++)
		kill(list[i], sig);
	return ending(pid);
}

// mainalone SIGNAL PROGRAM...
static int part_mainalone(char **argv) {
	int out;
	pid_t pid = start_ready(argv + 1, &out);
	kill(pid, number(argv[0]));
	return ending(pid);
}

static int seen;

// values FILE: blocks a real-time signal until SIGTERM, and writes how many values came, and
// whether they did in order.
static int part_values(char **argv) {
	sigset_t set;
	siginfo_t info;
	int in_order = 1, last = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, 40);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ready();
	sigdelset(&set, 40);
	sigwaitinfo(&set, &info);
	sigemptyset(&set);
	sigaddset(&set, 40);
	struct timespec enough = {1, 0};
	while (sigtimedwait(&set, &info, &enough) > 0) {
		in_order &= info.si_value.sival_int == last + 1;
		last = info.si_value.sival_int;
		seen++;
	}
	FILE *f = fopen(argv[0], "w");
	fprintf(f, "%s\n", in_order ? "in order" : "out of order");
	fprintf(f, "%d\n", seen);
	fclose(f);
	return 0;
}

// flood N PROGRAM...: N values to its main process, with room for few: what it did not get
// the sender was told of.
static int part_flood(char **argv) {
	int out, sent = 0, n = atoi(argv[0]);
	struct rlimit few = {200, 200};
	must(setrlimit(RLIMIT_SIGPENDING, &few), "setrlimit");
	pid_t pid = start_ready(argv + 1, &out);
	for (int i = 0; i < n; i++)
		if (sigqueue(pid, 40, (union sigval){.sival_int = sent}) == 0)
			sent++;
	kill(pid, SIGTERM);
	ending(pid);
	char line[64];
	int last = 0;
	while (argv[last + 1])
		last++;
	FILE *f = fopen(argv[last], "r+");
	if (!f || !fgets(line, sizeof line, f))
		fail(argv[last]);
	int arrived = -1;
	if (fscanf(f, "%d", &arrived) != 1)
		fail("fscanf");
	printf("%s", line);
	printf("%s\n", arrived == sent ? "none was lost" : "some were lost");
	if (arrived != sent)
		printf("%d of %d\n", arrived, sent);
	must(ftruncate(fileno(f), 0), "ftruncate");
	return 0;
}

// beat writes again and again, as long as it runs.
static int part_beat(char **argv) {
	(void)argv;
	signal(SIGPIPE, SIG_DFL);
	while (write(3, "x", 1) == 1)
		rest(1);
	return 0;
}

// silent tells whether nothing comes for so long.
static int silent(int fd, int milliseconds) {
	char buffer[4096];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (int tries = 0; tries < 5000; tries++) {
		if (poll(&p, 1, milliseconds) == 0)
			return 1;
		if (read(fd, buffer, sizeof buffer) <= 0)
			return -1;
	}
	return 0;
}

// stopped PROGRAM...: its main process is stopped, and continued.
static int part_stopped(char **argv) {
	int out, status;
	pid_t pid = start_ready(argv, &out);
	kill(pid, SIGSTOP);
	must(waitpid(pid, &status, WUNTRACED), "waitpid");
	puts(silent(out, 300) == 1 ? "silent" : "goes on");
	kill(pid, SIGCONT);
	char c;
	puts(read(out, &c, 1) == 1 ? "goes on" : "ended");
	kill(pid, SIGTERM);
	return ending(pid);
}

// orphaned PROGRAM...: its parent dies as soon as it is ready.
static int part_orphaned(char **argv) {
	int out, pipes[2];
	must(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
	must(pipe2(pipes, O_CLOEXEC), "pipe2");
	pid_t pid = fork();
	must(pid, "fork");
	if (pid == 0) {
		pid = start_ready(argv, &out);
		must(write(pipes[1], &pid, sizeof pid), "write");
		_exit(0);
	}
	must(waitpid(pid, NULL, 0), "waitpid");
	must(read(pipes[0], &pid, sizeof pid), "read");
	return ending(pid);
}

// leader: what it leads, and whether a group of its own can be made.
static int part_leader(char **argv) {
	(void)argv;
	pid_t pid = getpid();
	printf("leads session %d, group %d, terminal's session %d, foreground %d; setpgid: %s\n", getsid(0) == pid, getpgrp() == pid,
	       tcgetsid(0) == pid, tcgetpgrp(0) == pid, setpgid(0, 0) ? strerror(errno) : "done");
	return 0;
}

// tell LAST: says which signals come, and from whom (0: the kernel), until LAST.
static int part_tell(char **argv) {
	sigset_t all;
	siginfo_t info;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	puts("ready");
	fflush(stdout);
	while (sigwaitinfo(&all, &info) != atoi(argv[0])) {
		printf("signal %d from %d\n", info.si_signo, info.si_code > 0 ? 0 : info.si_pid);
		fflush(stdout);
	}
	return 42;
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} parts[] = {
	{"status", part_status},
	{"within", part_within},
	{"calls", part_calls},
	{"pdeathsig", part_pdeathsig},
	{"pause", part_pause},
	{"reaper", part_reaper},
	{"count", part_count},
	{"everybody", part_everybody},
	{"mainalone", part_mainalone},
	{"values", part_values},
	{"flood", part_flood},
	{"beat", part_beat},
	{"stopped", part_stopped},
	{"orphaned", part_orphaned},
	{"zombies", part_zombies},
	{"leader", part_leader},
	{"tell", part_tell},
};

int main(int argc, char **argv) {
	for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(argv + 2);
	fprintf(stderr, "play: no such part\n");
	return 98;
}
