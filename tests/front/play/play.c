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
	{"zombies", part_zombies},
};

int main(int argc, char **argv) {
	for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(argv + 2);
	fprintf(stderr, "play: no such part\n");
	return 98;
}
