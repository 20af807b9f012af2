/*
 * truth: what does this kernel do with pidfd_send_signal(2)? One line a row.
 * Read main.c first (how a row runs), then rows_*.c (which rows there are).
 */
#ifndef TRUTH_H
#define TRUTH_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NELEM(a) ((int)(sizeof(a) / sizeof((a)[0])))

#ifndef SYS_SEND
#define SYS_SEND 424 /* pidfd_send_signal, the same number for amd64 and i386 */
#endif
#if defined(__x86_64__) && defined(__ILP32__)
#define SYS_OWN (SYS_SEND | 0x40000000) /* built for the x32 ABI: the usual call is x32's */
#else
#define SYS_OWN SYS_SEND
#endif
#define SYS_OPEN 434 /* pidfd_open */
#define PIDFD_THREAD_FLAG O_EXCL

/* Who took part in a row. Each writes its own part of the line. */
enum slot { CALLER, TARGET, THREAD, LEADER, M1, M2, M3, SLOTS };

/* Events: words of shared memory, posted once. */
enum event { READY, READY2, MAPPED, GO, CALLED, QUIT, EV_THREAD, EV_A, EV_B, EV_C, EVENTS };

/* How a signal is received. NONE: default actions, nothing blocked. */
enum recv { NONE, HANDLER, SIGWAIT, SIGNALFD, ASYNC, RECVS };
extern const char *const recv_name[RECVS];

/* How the system call is entered. */
enum entry { PLAIN, POISONED, COMPAT, X32, ENTRIES };
extern const char *const entry_name[ENTRIES];
extern const int entries; /* that this width has, X32 not counted */

/* ---- main.c: rows, the line, events, names of pids ---- */
#define ROW(...) for (int row__ = row_begin(__VA_ARGS__); row__; row_end())
int row_begin(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void row_end(void) __attribute__((noreturn));
void note(enum slot s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void must(long ret, const char *what); /* ends the row, saying what the set-up lacked */
void before(void);                      /* the call is about to be made */
void after(long ret);                   /* the call's result, -errno */
const char *result(long ret);           /* "0" or the errno's name */
void post(enum event e);
void await(enum event e);
int posted(enum event e);
void name_pid(int pid, const char *who); /* in the pid namespace number my_ns */
const char *pid_name(int pid);           /* NULL if nobody's */
int *cell(int i);                    /* one of eight shared ints */
extern int my_ns;
extern int shared_fd;
void share(int fd);
pid_t start(void);                  /* fork */
pid_t start_flags(unsigned long clone_flags, int *pidfd);
int gettid_raw(void);

/* ---- call.c ---- */
/* Returns the result or -errno. send_row's is the one that the row prints. */
long send_raw(enum entry how, int fd, int sig, const void *info, unsigned flags);
long send_row(enum entry how, int fd, int sig, const void *info, unsigned flags);

/* ---- info.c ---- */
enum place { NOWHERE, PAGE, ADDRESS_1, UNMAPPED, PROTNONE, KERNEL, TAIL47, TAIL48, TAIL128, READONLY, WRITEONLY, EXECONLY, ACROSS_WRITEONLY, ACROSS_PROTNONE };
struct info {
	const char *name;
	enum place place;
	int code;
	int signo;   /* added to the signal: not 0 is a mismatch */
	int poke;    /* this byte is made 1; 0: none */
	int pid;     /* where given is set, in place of the pattern */
	int uid;
	int given;
};
extern const struct info NULLINFO, QUEUE;
extern const struct info codes[], places[];
extern const int ncodes, nplaces;
const void *info_at(const struct info *i, int sig, enum entry how);
void info_value(const void *at, enum entry how, int value);

/* ---- recv.c ---- */
void recv_block(enum recv r);
void recv_prepare(enum recv r);
void recv_collect(enum recv r, enum slot s);
void recv_unblock(void);
int raw_action(int sig, void (*fn)(int, siginfo_t *, void *), unsigned long flags);
void raw_ignore(int sig);
void raw_reset_all(void);
extern int keep_chld; /* SIGCHLD of a dying child is not a delivery, unless */
const char *sig_name(int sig);
const char *code_name(int code);

/* ---- target.c ---- */
enum state { LIVE, ZOMBIE, REAPED, STOPPED, IGNORING, EXECED, THREAD_EXECED, LEADER_GONE, STATES };
extern const char *const state_name[STATES];
struct cred { int r, e, s; };
struct scene {
	/* what the row asks for */
	enum recv recv;
	enum state state;
	int sig;
	int threads;             /* the target has a second thread */
	int session;             /* the target is in a session of its own */
	int clone_pidfd;
	const struct cred *cred; /* of the target */
	/* what came of it */
	pid_t pid;
	pid_t tid;               /* of the second thread */
	int pidfd;               /* by CLONE_PIDFD */
};
void target_start(struct scene *sc);
void target_settle(struct scene *sc); /* into its state; descriptors are made before */
void target_end(struct scene *sc);
void set_cred(const struct cred *c);
int exec_target(char **argv);
void reap(pid_t pid, enum slot s);
void thread_start(void *(*fn)(void *), void *arg);

/* ---- fds.c ---- */
struct fd {
	const char *name;
	int (*make)(struct scene *sc);
	int self;    /* names the caller: no target is made */
	int threads; /* the target needs a second thread */
};
extern const struct fd fds[];
extern const int nfds;
const struct fd *fd_named(const char *name);
extern int procdirs; /* no pidfds: directories of /proc */
int pidfd_of(pid_t pid, unsigned flags);
void scm_pair(int sv[2]);
void scm_send(int sock, int fd);
int scm_recv(int sock);

/* ---- play.c: one call, one target ---- */
struct play {
	const struct fd *fd;
	int sig;
	unsigned flags;
	const struct info *info;
	enum entry entry;
	enum recv recv;
	enum state state;
	int threads, session;
	const struct cred *caller, *target;
	void (*prepare)(void); /* of the caller, right before the call */
};
void play(const struct play *p);

/* ---- rows_*.c ---- */
void rows_fd(void);
void rows_sig(void);
void rows_info(void);
void rows_order(void);
void rows_state(void);
void rows_perm(void);
void rows_ns(void);
void rows_scope(void);
void rows_thread(void);
void rows_storm(void);
void rows_wait(void);
void rows_around(void);

#endif
