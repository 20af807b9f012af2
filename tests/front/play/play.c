// A program of many small parts: what commands do at their start, with signals, at their
// end; and how those who started them look at it. `play PART [ARG...]`.
#define _GNU_SOURCE
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

static const struct {
	const char *name;
	int (*run)(char **argv);
} parts[] = {
	{"status", part_status},
	{"within", part_within},
	{"calls", part_calls},
};

int main(int argc, char **argv) {
	for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof *parts; i++)
		if (strcmp(argv[1], parts[i].name) == 0)
			return parts[i].run(argv + 2);
	fprintf(stderr, "play: no such part\n");
	return 98;
}
