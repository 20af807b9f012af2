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
void raw_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags);
void block_all(void);
int open_fds(pid_t pid);
long status_of(pid_t pid, const char *key); /* a number of /proc/PID/status */
extern pid_t supervisor;                    /* our parent at the start */

/* One a file; the dispatch is in main.c. */
int storm(void), self_storm(void), group_storm(void), killed(void);
int recycled(void), recycling(void);
int privilege(void);
int hostile(void), weird(void);
int many(void), private_table(void), no_leader(void), flip(void), churn(void);
int load(void);
int protect(void), dead(void);
int peek(void);

#endif
