/* Whole process groups: several members, some of them out of reach; leaders that are gone. */
#include "truth.h"

static const struct cred user = {3000, 3000, 3000}, root = {0, 0, 0};

struct group {
	enum recv recv;
	int sig;
	unsigned flags;
	const struct info *info;
	enum state leader;  /* LIVE, ZOMBIE, REAPED */
	int by_member;      /* the descriptor names a member, not the leader */
	int by_dir;
	int denied;         /* bit n: member n belongs to root, the caller does not */
	int inside;         /* the caller is a member */
	enum entry entry;
};

static const enum event ready[] = {EV_A, EV_B, EV_C};
enum { MEMBERS = 3 };

static void member(const struct group *g, int n, pid_t group)
{
	must(setpgid(0, group), "setpgid");
	recv_prepare(g->recv);
	if (g->denied)
		set_cred(g->denied & 1 << n ? &root : &user);
	post(ready[n]);
	if (n == 0 && g->leader != LIVE) {
		await(QUIT);
		_exit(0);
	}
	await(GO);
	recv_collect(g->recv, (enum slot)(LEADER + n));
	_exit(0);
}

static int group_fd(const struct group *g, const pid_t *pids)
{
	char path[32];
	pid_t pid = pids[g->by_member ? 1 : 0];
	if (!g->by_dir)
		return pidfd_of(pid, 0);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static void group_row(const struct group *g)
{
	static const char *const names[] = {"leader", "m1", "m2"};
	pid_t pids[MEMBERS];
	siginfo_t info;
	recv_prepare(g->recv);
	for (int n = 0; n < MEMBERS; n++) {
		pids[n] = start();
		if (pids[n] == 0)
			member(g, n, n ? pids[0] : 0);
		must(pids[n], "fork");
		name_pid(pids[n], names[n]);
		await(ready[n]);
	}
	int fd = group_fd(g, pids);
	must(fd, "group_fd");
	if (g->inside)
		must(setpgid(0, pids[0]), "setpgid");
	post(QUIT);
	if (g->leader == ZOMBIE)
		waitid(P_PID, (id_t)pids[0], &info, WEXITED | WNOWAIT);
	if (g->leader == REAPED)
		waitpid(pids[0], NULL, 0);
	if (g->denied)
		set_cred(&user);
	send_row(g->entry, fd, g->sig, info_at(g->info, g->sig, g->entry), g->flags);
	recv_collect(g->recv, CALLER);
	post(GO);
	for (int n = g->leader == REAPED; n < MEMBERS; n++)
		reap(pids[n], (enum slot)(LEADER + n));
}

static void members(void)
{
	static const struct { int sig; const struct info *info; enum recv recv; } what[] = {
		{0, &NULLINFO, SIGWAIT}, {SIGUSR1, &NULLINFO, SIGWAIT}, {SIGTERM, &NULLINFO, NONE}, {34, &QUEUE, HANDLER}, {35, &codes[2], SIGNALFD},
		{SIGUSR1, &codes[1], SIGWAIT}, {SIGKILL, &NULLINFO, NONE}, {65, &NULLINFO, SIGWAIT}, {34, &places[0], SIGWAIT}, {36, &codes[6], SIGWAIT},
	};
	for (int w = 0; w < NELEM(what); w++)
		for (int v = 0; v < 10; v++) {
			/* Inside, a deadly signal would end the caller. */
			static const struct { const char *name; struct group g; } how[] = {
				{"plain", {.flags = 4}}, {"zombie-leader", {.flags = 4, .leader = ZOMBIE}}, {"reaped-leader", {.flags = 4, .leader = REAPED}},
				{"by-member", {.flags = 4, .by_member = 1}}, {"by-procdir", {.flags = 4, .by_dir = 1}}, {"one-denied", {.flags = 4, .denied = 2}},
				{"all-denied", {.flags = 4, .denied = 7}}, {"leader-denied", {.flags = 4, .denied = 1}}, {"caller-inside", {.flags = 4, .inside = 1}},
				{"last-denied", {.flags = 4, .denied = 4}},
			};
			struct group g = how[v].g;
			if (g.inside && what[w].recv == NONE)
				continue;
			g.sig = what[w].sig, g.info = what[w].info, g.recv = what[w].recv, g.entry = (enum entry)(v % entries);
			ROW("group=%s/sig=%s/info=%s/recv=%s", how[v].name, sig_name(g.sig), g.info->name, recv_name[g.recv])
				group_row(&g);
		}
}

/* The caller's own group, through the descriptors that need no lookup. */
static void own_group(int fd, int sig, const struct info *info)
{
	recv_prepare(SIGWAIT);
	send_row(PLAIN, fd == 0 ? pidfd_of(getpid(), 0) : fd, sig, info_at(info, sig, PLAIN), 4);
	recv_collect(SIGWAIT, CALLER);
}

void rows_scope(void)
{
	static const int fds[] = {0, -10000, -10001};
	members();
	for (int f = 0; f < NELEM(fds); f++) {
		ROW("group=own/fd=%d/sig=SIGUSR1/info=NULL", fds[f])
			own_group(fds[f], SIGUSR1, &NULLINFO);
		ROW("group=own/fd=%d/sig=34/info=SI_QUEUE", fds[f])
			own_group(fds[f], 34, &QUEUE);
		ROW("group=own/fd=%d/sig=SIGUSR1/info=SI_USER", fds[f])
			own_group(fds[f], SIGUSR1, &codes[1]);
	}
}
