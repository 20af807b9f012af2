/*
 * Namespaces. Three floors, each with an init and another process:
 *
 *     s0 (the row's process), t0      where the suite runs
 *     i1, p1                          a namespace below
 *     i2, p2                          one below that
 *
 * One of them is the caller, one the target. The target opens a descriptor for
 * itself and sends it over a socket; the caller uses it, then lets all end.
 */
#include "truth.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

enum node { S0, T0, I1, P1, I2, P2, NODES };
static const char *const node_name[NODES] = {"s0", "t0", "i1", "p1", "i2", "p2"};

/* OWN_DIR is in the suite's procfs, whatever namespace the target is in. */
enum give { OWN_PIDFD, OWN_DIR, MOUNTED_DIR };
static const char *const give_name[] = {"pidfd", "procself", "other-procfs"};

struct stage {
	enum node caller, target;
	enum give give;
	int sig;
	enum recv recv;
	const struct info *info;
	unsigned long flags; /* CLONE_NEWPID, CLONE_NEWUSER */
	int uid_base;        /* of the user namespace's map; its size is 1000 */
	int caller_uid, target_uid; /* inside, with a user namespace */
	enum state dead;     /* ZOMBIE or REAPED: the target has ended before the call */
	int sock[2];
};

static void write_map(const char *which, pid_t pid, int base)
{
	char path[48], text[48];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, which);
	int n = snprintf(text, sizeof(text), "0 %d 1000", base);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd, which);
	must(write(fd, text, (size_t)n), which);
	close(fd);
}

/* A procfs of this pid namespace, in a mount namespace of the target's own. */
static void mount_proc(void)
{
	must(unshare(CLONE_NEWNS), "unshare(mnt)");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mount private");
	must(mount("proc", "/proc", "proc", 0, NULL), "mount proc");
}

static int give_fd(const struct stage *st)
{
	int fd;
	if (st->give == MOUNTED_DIR)
		mount_proc();
	if (st->give == OWN_PIDFD)
		fd = pidfd_of(getpid(), 0);
	else
		fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd, give_name[st->give]);
	return fd;
}

static void take_uid(int uid)
{
	if (uid)
		set_cred(&(struct cred){uid, uid, uid});
}

static void act_target(struct stage *st)
{
	name_pid(getpid(), "target");
	recv_prepare(st->recv);
	int fd = give_fd(st);
	take_uid(st->target_uid);
	scm_send(st->sock[1], fd);
}

static void act_caller(struct stage *st)
{
	name_pid(getpid(), "caller");
	int fd = scm_recv(st->sock[0]);
	if (st->dead)
		await(EV_A);
	take_uid(st->caller_uid);
	send_row(PLAIN, fd, st->sig, info_at(st->info, st->sig, PLAIN), 0);
}

static void play_node(struct stage *st, enum node me)
{
	if (me == st->target) {
		act_target(st);
		if (st->dead)
			return;
	}
	if (me == st->caller) {
		act_caller(st);
		post(GO);
	}
	await(GO);
	if (me == st->target)
		recv_collect(st->recv, TARGET);
}

static void floor_of(struct stage *st, int level);

static pid_t fork_node(struct stage *st, enum node me)
{
	pid_t pid = start();
	if (pid == 0) {
		play_node(st, me);
		_exit(0);
	}
	must(pid, "fork");
	return pid;
}

/* A process has a number on its own floor and on each above; those next to it show. */
static void name_below(const struct stage *st, enum node me, pid_t pid)
{
	if (me == st->caller)
		name_pid(pid, "caller");
	if (me == st->target)
		name_pid(pid, "target");
}

/* The init of the floor below, and all that lives there. */
static pid_t descend(struct stage *st, int level)
{
	pid_t pid = start_flags(st->flags, NULL);
	if (pid == 0) {
		if (st->flags & CLONE_NEWPID)
			my_ns = level;
		if (st->flags & CLONE_NEWUSER) {
			await(MAPPED);
			must(setuid(0), "setuid");
			must(setgid(0), "setgid");
		}
		floor_of(st, level);
		_exit(0);
	}
	must(pid, "clone");
	if (st->flags & CLONE_NEWUSER) {
		write_map("uid_map", pid, st->uid_base);
		write_map("gid_map", pid, st->uid_base);
		post(MAPPED);
	}
	name_below(st, (enum node)(2 * level), pid);
	return pid;
}

static void floor_of(struct stage *st, int level)
{
	enum node init = (enum node)(2 * level), other = (enum node)(init + 1);
	int deepest = st->caller / 2 > st->target / 2 ? st->caller / 2 : st->target / 2;
	enum slot below = level ? M2 : M1;
	pid_t pid = 0, kid = 0;
	if (st->caller == other || st->target == other) {
		pid = fork_node(st, other);
		name_below(st, other, pid);
	}
	if (level < deepest)
		kid = descend(st, level + 1);
	if (st->dead && st->target == other) {
		siginfo_t info;
		must(waitid(P_PID, (id_t)pid, &info, WEXITED | (st->dead == ZOMBIE ? WNOWAIT : 0)), "waitid");
		post(EV_A);
	}
	play_node(st, init);
	if (pid && !(st->dead == REAPED && st->target == other))
		reap(pid, st->target == other ? TARGET : CALLER);
	if (kid)
		reap(kid, below);
}

static void stage(const struct stage *want)
{
	struct stage st = *want;
	scm_pair(st.sock);
	floor_of(&st, 0);
}

static const struct { int sig; const struct info *info; enum recv recv; } sends[] = {
	{0, &NULLINFO, SIGWAIT}, {SIGUSR1, &NULLINFO, SIGWAIT}, {SIGTERM, &NULLINFO, NONE}, {34, &QUEUE, SIGWAIT}, {35, &codes[2], SIGWAIT},
	{SIGUSR2, &codes[5], SIGNALFD}, {SIGKILL, &NULLINFO, NONE}, {SIGKILL, &QUEUE, NONE}, {SIGKILL, &codes[2], NONE}, {SIGSTOP, &NULLINFO, NONE},
	{65, &NULLINFO, NONE}, {36, &places[0], NONE}, {36, &places[20], NONE}, {36, &codes[1], NONE},
};

/* The whole cross, one namespace deep; two deep a part of it. */
static void pid_namespaces(void)
{
	for (int c = S0; c < NODES; c++)
		for (int t = S0; t < NODES; t++)
			for (int s = 0; s < NELEM(sends); s++) {
				int deep = c >= I2 || t >= I2;
				int fatal = sends[s].sig == SIGKILL || sends[s].sig == SIGTERM;
				/* To itself: an init only, which survives it. */
				if ((c < I1 && t < I1) || t == S0 || (c == t && (!fatal || c % 2)))
					continue;
				if ((deep && s % 3 != 0) || c == T0)
					continue;
				ROW("ns=pid/caller=%s/target=%s/sig=%s/info=%s/recv=%s", node_name[c], node_name[t], sig_name(sends[s].sig),
				    sends[s].info->name, recv_name[sends[s].recv])
					stage(&(struct stage){.caller = (enum node)c, .target = (enum node)t, .sig = sends[s].sig, .info = sends[s].info,
						.recv = sends[s].recv, .flags = CLONE_NEWPID});
			}
}

static void directories(void)
{
	static const struct { enum node c, t; } who[] = {{S0, P1}, {I1, P1}, {P1, I1}, {S0, I1}, {P1, T0}, {I1, P2}, {S0, P2}};
	for (int w = 0; w < NELEM(who); w++)
		for (int g = OWN_DIR; g <= MOUNTED_DIR; g++)
			for (int s = 0; s < 5; s++) {
				if (s == 2)
					continue;
				ROW("ns=pid/fd=%s/caller=%s/target=%s/sig=%s/info=%s", give_name[g], node_name[who[w].c], node_name[who[w].t],
				    sig_name(sends[s].sig), sends[s].info->name)
					stage(&(struct stage){.caller = who[w].c, .target = who[w].t, .give = (enum give)g, .sig = sends[s].sig,
						.info = sends[s].info, .recv = sends[s].recv, .flags = CLONE_NEWPID});
			}
}

/* Whose a dead process was decides before whether it lives. */
static void dead_targets(void)
{
	static const struct { enum node c, t; } who[] = {{S0, P1}, {I1, P1}, {P1, T0}, {I1, T0}, {I1, P2}, {S0, P2}, {P2, P1}};
	static const enum state dead[] = {ZOMBIE, REAPED};
	for (int w = 0; w < NELEM(who); w++)
		for (int d = 0; d < NELEM(dead); d++)
			for (int s = 0; s < NELEM(sends); s++)
				ROW("ns=pid/dead=%s/caller=%s/target=%s/sig=%s/info=%s", state_name[dead[d]], node_name[who[w].c], node_name[who[w].t],
				    sig_name(sends[s].sig), sends[s].info->name)
					stage(&(struct stage){.caller = who[w].c, .target = who[w].t, .sig = sends[s].sig, .info = sends[s].info,
						.recv = NONE, .flags = CLONE_NEWPID, .dead = dead[d]});
}

static const struct info uid0 = {"SI_QUEUE+uid=0", PAGE, -1, 0, 0, 0x11223344, 0, 1};
static const struct info uid777 = {"SI_QUEUE+uid=777", PAGE, -1, 0, 0, 0x11223344, 777, 1};
static const struct info uid100777 = {"SI_QUEUE+uid=100777", PAGE, -1, 0, 0, 0x11223344, 100777, 1};
static const struct info uid5000 = {"SI_QUEUE+uid=5000", PAGE, -1, 0, 0, 0x11223344, 5000, 1};
static const struct info timer777 = {"SI_TIMER+777", PAGE, -2, 0, 0, 0x11223344, 777, 1};

static void user_namespaces(void)
{
	static const struct { const char *name; unsigned long flags; } kinds[] = {{"user", CLONE_NEWUSER}, {"user+pid", CLONE_NEWUSER | CLONE_NEWPID}};
	static const struct { enum node c, t; int cu, tu; } who[] = {
		{S0, P1, 0, 0}, {P1, I1, 0, 0}, {P1, T0, 0, 0}, {S0, I1, 0, 5}, {I1, P1, 7, 0}, {P1, I1, 7, 0}, {I1, P1, 7, 7}, {P1, T0, 7, 100007},
		{S0, P1, 3000, 5}, {S0, P1, 100005, 5}, {P1, T0, 0, 100000}, {I1, T0, 0, 3000}, {I1, P1, 0, 7},
	};
	static const struct { int sig; const struct info *info; } what[] = {
		{0, &NULLINFO}, {SIGUSR1, &NULLINFO}, {34, &uid0}, {35, &uid777}, {36, &uid100777}, {37, &uid5000}, {38, &timer777}, {SIGKILL, &NULLINFO},
	};
	for (int k = 0; k < NELEM(kinds); k++)
		for (int w = 0; w < NELEM(who); w++)
			for (int s = 0; s < NELEM(what); s++)
				ROW("ns=%s/caller=%s:%d/target=%s:%d/sig=%s/info=%s", kinds[k].name, node_name[who[w].c], who[w].cu, node_name[who[w].t],
				    who[w].tu, sig_name(what[s].sig), what[s].info->name)
					stage(&(struct stage){.caller = who[w].c, .target = who[w].t, .caller_uid = who[w].cu, .target_uid = who[w].tu,
						.sig = what[s].sig, .info = what[s].info, .recv = what[s].sig == SIGKILL ? NONE : SIGWAIT,
						.flags = kinds[k].flags, .uid_base = 100000});
}

/* The caller has asked for its children to be elsewhere; it has not moved itself. */
static void only_for_children(void)
{
	must(unshare(CLONE_NEWPID), "unshare(pid)");
	struct scene sc = {.recv = SIGWAIT};
	target_start(&sc);
	int fd = pidfd_of(sc.pid, 0);
	recv_block(SIGWAIT);
	send_row(PLAIN, fd, SIGUSR1, NULL, 0);
	note(CALLER, " self=%s", result(send_raw(PLAIN, pidfd_of(getpid(), 0), SIGUSR1, NULL, 0)));
	recv_collect(SIGWAIT, CALLER);
	target_end(&sc);
}

static void other_user_self(int fd_value)
{
	recv_prepare(SIGWAIT);
	must(unshare(CLONE_NEWUSER), "unshare(user)");
	int fd = fd_value ? fd_value : pidfd_of(getpid(), 0);
	send_row(PLAIN, fd, SIGUSR1, NULL, 0);
	note(CALLER, " queue=%s", result(send_raw(PLAIN, fd, 34, info_at(&uid777, 34, PLAIN), 0)));
	recv_collect(SIGWAIT, CALLER);
}

void rows_ns(void)
{
	pid_namespaces();
	directories();
	dead_targets();
	user_namespaces();
	ROW("ns=pid/for-children/sig=SIGUSR1")
		only_for_children();
	ROW("ns=user/unmapped-self/fd=pidfd")
		other_user_self(0);
	ROW("ns=user/unmapped-self/fd=SELF_THREAD")
		other_user_self(-10000);
}
