// The caller of the process-tree tests: each scene is run natively and under the ptrace
// backend, and has to print the same.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NR_SEND 424

extern char *self; // this program's path

// A line at once: tasks of one scene take turns, and stdio would hold lines back.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

void must(int ok, const char *what);

// call sends sig to the process pid by the call under test, and says what it returned.
// The driver counts these lines against those of the trace.
void call(const char *who, pid_t pid, int sig);
int send_quietly(pid_t pid, int sig, siginfo_t *info);

// await says how a child ended, stopped or went on.
void await(const char *who, pid_t pid, int options);

// asleep returns when a task waits in the kernel, interruptibly, and then when it does
// so again after having run.
void asleep(pid_t pid);

struct scene {
	const char *name;
	void (*play)(char **args);
};
extern const struct scene tree_scenes[], stop_scenes[], guard_scenes[], regs_scenes[], ready_scenes[];
