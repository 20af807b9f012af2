// demo: what a program that signals through a descriptor does. It opens a child's
// /proc directory, as works on every kernel, sends a real-time signal with a value
// and one without siginfo, one after the other, and prints what the child received.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static void must(long result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "demo: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static const char *code_name(int code)
{
	return code == SI_QUEUE ? "SI_QUEUE" : code == SI_USER ? "SI_USER" : "other";
}

static void receive(const sigset_t *set, pid_t sender, int done)
{
	siginfo_t info;
	int sig;

	// EINTR without a handler is what a stop by a tracer leaves behind (signal(7)):
	// where the shim must hold a number's owner by ptrace, a receiver can see it.
	do
		sig = sigwaitinfo(set, &info);
	while (sig < 0 && errno == EINTR);
	must(sig, "sigwaitinfo");
	printf("received signal %d, %s, value %d, from %s\n", info.si_signo, code_name(info.si_code),
	       info.si_code == SI_QUEUE ? info.si_value.sival_int : 0,
	       info.si_pid == sender ? "its sender" : "somebody else");
	fflush(stdout);
	must(write(done, "", 1), "write");
}

static void send(int fd, int sig, siginfo_t *info, int done)
{
	char byte;

	must(syscall(SYS_pidfd_send_signal, fd, sig, info, 0), "pidfd_send_signal");
	must(read(done, &byte, 1), "read");
}

int main(void)
{
	pid_t self = getpid();
	char path[32];
	siginfo_t info;
	sigset_t set;
	int fd, status, done[2];

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);

	must(pipe(done), "pipe");
	pid_t child = fork();
	must(child, "fork");
	if (child == 0) {
		receive(&set, self, done[1]);
		receive(&set, self, done[1]);
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d", child);
	must(fd = open(path, O_DIRECTORY | O_CLOEXEC), path);

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGRTMIN;
	info.si_code = SI_QUEUE;
	info.si_pid = self;
	info.si_uid = getuid();
	info.si_value.sival_int = 4711;
	send(fd, SIGRTMIN, &info, done[0]);
	send(fd, SIGUSR1, NULL, done[0]);
	must(waitpid(child, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
