/* Calls made by threads that are not the leader, with their own descriptors, their own
 * user ids, or no leader at all; and by children that share memory or descriptors. */
#include "truth.h"
#include <sched.h>

enum who { OTHER, OWN_PROCESS, OWN_LEADER_THREAD, OWN_THREAD, OWN_TID_DIR, SELF_T, SELF_G, WHOS };
static const char *const who_name[WHOS] = {"target", "own-pidfd", "own-leader-thread", "own-thread", "own-tid-dir", "SELF_THREAD", "SELF_THREAD_GROUP"};

struct job {
	enum who to;
	int sig;
	unsigned flags;
	const struct info *info;
	enum recv recv;
	int private_table, leader_gone, own_uid;
	struct scene sc;
	int fd;
};

static int job_fd(const struct job *j)
{
	char path[32];
	switch (j->to) {
	case OTHER: return pidfd_of(j->sc.pid, 0);
	case OWN_PROCESS: return pidfd_of(getpid(), 0);
	case OWN_LEADER_THREAD: return pidfd_of(getpid(), PIDFD_THREAD_FLAG);
	case OWN_THREAD: return pidfd_of(gettid_raw(), PIDFD_THREAD_FLAG);
	case OWN_TID_DIR:
		snprintf(path, sizeof(path), "/proc/%d", gettid_raw());
		return open(path, O_RDONLY | O_DIRECTORY);
	case SELF_T: return -10000;
	default: return -10001;
	}
}

static void leader_exited(void)
{
	char path[64], text[256];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	for (;;) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		char *end = strrchr(text, ')');
		if (!end || end[2] == 'Z')
			return;
		sched_yield();
	}
}

static void *call_thread(void *arg)
{
	struct job *j = arg;
	recv_prepare(j->recv);
	if (j->private_table) {
		must(unshare(CLONE_FILES), "unshare(files)");
		/* The same number means the target here, and the decoy to the others. */
		int fd = job_fd(j);
		must(fd, "job_fd");
		dup2(fd, j->fd);
	} else {
		j->fd = job_fd(j);
	}
	if (j->own_uid)
		set_cred(&(struct cred){j->own_uid, j->own_uid, j->own_uid});
	if (j->leader_gone)
		leader_exited();
	send_row(PLAIN, j->fd, j->sig, info_at(j->info, j->sig, PLAIN), j->flags);
	post(CALLED);
	if (j->leader_gone) {
		recv_collect(j->recv, CALLER);
		if (j->sc.pid)
			target_end(&j->sc);
		row_end();
	}
	await(EV_B);
	recv_collect(j->recv, THREAD);
	post(EV_C);
	return NULL;
}

static void thread_row(const struct job *want)
{
	static struct job j;
	j = *want;
	j.sc.recv = j.recv;
	keep_chld = j.to != OTHER;
	recv_prepare(j.recv);
	if (j.to == OTHER)
		target_start(&j.sc);
	if (j.private_table) {
		j.fd = pidfd_of(getpid(), 0);
		must(j.fd, "pidfd_open");
	}
	thread_start(call_thread, &j);
	if (j.leader_gone)
		syscall(SYS_exit, 0);
	await(CALLED);
	recv_collect(j.recv, CALLER);
	post(EV_B);
	await(EV_C);
	if (j.to == OTHER)
		target_end(&j.sc);
}

static void from_threads(void)
{
	static const struct { int sig; const struct info *info; } what[] = {
		{0, &NULLINFO}, {SIGUSR1, &NULLINFO}, {34, &QUEUE}, {SIGUSR2, &codes[1]}, {35, &codes[6]}, {36, &codes[23]}, {SIGUSR1, &codes[5]}, {37, &places[20]},
	};
	static const struct { const char *name; struct job j; } how[] = {
		{"shared-table", {0}}, {"private-table", {.private_table = 1}}, {"leader-gone", {.leader_gone = 1}},
		{"private-table+leader-gone", {.private_table = 1, .leader_gone = 1}}, {"flags=1", {.flags = 1}}, {"flags=2", {.flags = 2}},
	};
	for (int to = 0; to < WHOS; to++)
		for (int h = 0; h < NELEM(how); h++)
			for (int w = 0; w < NELEM(what); w++) {
				struct job j = how[h].j;
				if (j.private_table && to >= SELF_T)
					continue;
				j.to = (enum who)to, j.sig = what[w].sig, j.info = what[w].info, j.recv = w % 2 ? SIGWAIT : HANDLER;
				ROW("thread=%s/to=%s/sig=%s/info=%s/recv=%s", how[h].name, who_name[to], sig_name(j.sig), j.info->name, recv_name[j.recv])
					thread_row(&j);
			}
}

static void thread_ids(void)
{
	static const int sigs[] = {0, SIGTERM, SIGCONT, 34};
	for (int s = 0; s < NELEM(sigs); s++) {
		ROW("thread=own-uid-3000/to=target/sig=%s", sig_name(sigs[s]))
			thread_row(&(struct job){.sig = sigs[s], .info = sigs[s] == 34 ? &QUEUE : &NULLINFO, .recv = SIGWAIT, .own_uid = 3000});
		ROW("thread=own-uid-3000/to=own-pidfd/sig=%s", sig_name(sigs[s]))
			thread_row(&(struct job){.to = OWN_PROCESS, .sig = sigs[s], .info = sigs[s] == 34 ? &QUEUE : &NULLINFO, .recv = SIGWAIT, .own_uid = 3000});
	}
}

/* A process that is no thread but shares the memory, the descriptors, or both. */
static void sharing_row(unsigned long flags, const struct info *info)
{
	struct scene sc = {.recv = SIGWAIT};
	recv_prepare(SIGWAIT);
	target_start(&sc);
	int fd = pidfd_of(sc.pid, 0);
	must(fd, "pidfd_open");
	const void *at = info_at(info, 34, PLAIN);
	pid_t kid = flags ? start_flags(flags, NULL) : vfork();
	if (kid == 0) {
		send_row(PLAIN, fd, 34, at, 0);
		_exit(0);
	}
	name_pid(kid, "child");
	reap(kid, M1);
	recv_collect(SIGWAIT, CALLER);
	target_end(&sc);
}

void rows_thread(void)
{
	from_threads();
	thread_ids();
	ROW("thread=vfork/sig=34/info=NULL")
		sharing_row(0, &NULLINFO);
	ROW("thread=vfork/sig=34/info=SI_QUEUE")
		sharing_row(0, &QUEUE);
	ROW("thread=clone-files/sig=34/info=NULL")
		sharing_row(CLONE_FILES, &NULLINFO);
	ROW("thread=clone-files/sig=34/info=SI_QUEUE")
		sharing_row(CLONE_FILES, &QUEUE);
	ROW("thread=clone-fs/sig=34/info=SI_QUEUE")
		sharing_row(CLONE_FS, &QUEUE);
}
