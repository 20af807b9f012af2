/*
 * attack: callers that misbehave, one a subcommand. Each prints "name=number" lines
 * and ends with 0 if it got to its end: what the numbers must be is said by the Go
 * tests, in the file of the same name (tests/NAME_test.go).
 */
#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#define SEND_NR 424
#define OPEN_NR 434
#define RT 34 /* the kernel's SIGRTMIN */

/* main.c */
long send_signal(int fd, int sig, const siginfo_t *info, unsigned flags); /* 0 or -errno */
int pidfd_open_(pid_t pid, unsigned flags);
const siginfo_t *queued(siginfo_t *into, int sig, int value);
void must(int ok, const char *what);
void *shared(size_t size);
void say(const char *name, long value);
long long now_us(void);
pid_t start(void (*run)(void *), void *arg); /* fork; the child dies with its parent */
void start_over(void);                       /* exec: what was tried did not come about */
int reap(pid_t pid);                         /* its wait status */
int proc_dir(pid_t pid);
const char *name_of(long ret); /* of a result: "0" or the errno */
long option(const char *name, long otherwise); /* "name=NUMBER" of the command line */
const char *word_option(const char *name);       /* "name=WORD", or NULL */
char **after_dashes(void);                       /* what stands behind "--" */
void give_fd(int socket, int fd);
int take_fd(int socket); /* -1: the other end is closed */
void raw_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags);
void block_all(void);
int open_fds(pid_t pid);
long status_of(pid_t pid, const char *key); /* a number of /proc/PID/status */
extern pid_t supervisor;                    /* our parent at the start */

void *silent_page(void);                    /* memory.c: one that nobody will ever fill */

void be_contained(const char *agent);       /* contained.c */

/* strike.c */
enum call { SEND, KILL, TKILL, TGKILL, QUEUE, TGQUEUE, CALLS };
enum way { BY_LIBC, BY_INT80, BY_X32, BY_X32_MIXED, BY_X32_BARE, BY_FAR_JUMP, WAYS };
enum { WITHOUT_INFO = 1u << 31 }; /* beside the flags of SEND */
struct whom {
	pid_t pid, tid;
	int fd;
};
extern const char *const call_names[CALLS];
long strike(enum way way, enum call call, const struct whom *at, int sig, unsigned flags);
int has_way(enum way way);
long enter(enum way way, unsigned nr, const long *args); /* one system call; 0 or -errno */

/* guarded.c */
extern struct whom victim, friend;
pid_t befriend(struct whom *into);
void meet(void);            /* fills both */
void counted(long ret);     /* of a call to the victim */
void counted_friendly(long ret);
int is_closed(void);         /* nobody is left who could let a call through */
int told_to_stop(void);
void listeners(void);        /* boundary.c */
void attempted(int hit);     /* of what is no call to the victim */
pid_t guard_inside(struct whom *into); /* a child of the guarded uid */
uint64_t pending_of(pid_t pid);
pid_t fork_numbered(pid_t number); /* fork with a free number, -1 if it is not free yet */
void strike_all(const struct whom *at, void (*count)(long), int deadly);
int summary(void);

/* One a file; the dispatch is in main.c. */
int storm(void), self_storm(void), group_storm(void), killed(void);
int few(void), crowded(void), refused(void), recycled(void), recycling(void), outsider(void), outsider_senders(void);
int privilege(void);
int hostile(void), weird(void), swap_epoll(void);
int many(void), private_table(void), no_leader(void), flip(void), churn(void);
int load(void);
int bomb(void), ns_init(char **argv);
int protect(void), dead(void);
int peek(void);
int guarded(void), every_way(void), by_helper(void), handed(void);
void own_mounts(void); /* inside.c */
void *silent_page(void); /* memory.c: nobody ever fills it */
int steal(void), stuck(void), dropped(void);
int family_table(void), swap_fd(void), swap_info(void), within(void);
int boundary(void), survive(void), get_handles(void);
int outer(char **argv);
int nested(void), eintr(void), changes(void), lost_answer(void), marks(void), confine(void);
int regroup(void), everybody(void), reuse(void), stale_caller(void), overwrite(void), exec_away(void), storm_kill(void), spin_away(void);

#endif
