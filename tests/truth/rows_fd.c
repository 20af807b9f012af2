/* Every descriptor, with and without siginfo; and the flags of those that work. */
#include "truth.h"

static void each_fd(void)
{
	for (int i = 0; i < nfds; i++) {
		ROW("fds/fd=%s/sig=0/flags=0/info=NULL", fds[i].name)
			play(&(struct play){.fd = &fds[i], .info = &NULLINFO, .recv = SIGWAIT});
		ROW("fds/fd=%s/sig=SIGUSR1/flags=0/info=NULL/recv=sigwait", fds[i].name)
			play(&(struct play){.fd = &fds[i], .sig = SIGUSR1, .info = &NULLINFO, .recv = SIGWAIT});
		ROW("fds/fd=%s/sig=35/flags=0/info=SI_QUEUE/recv=handler", fds[i].name)
			play(&(struct play){.fd = &fds[i], .sig = 35, .info = &QUEUE, .recv = HANDLER, .entry = POISONED});
	}
}

static void each_flag(void)
{
	static const unsigned flags[] = {1, 2, 4, 3, 5, 6, 7, 8, 0x80, 0x10000, 0x80000000};
	static const char *const with[] = {"pidfd", "procdir", "thread-leader", "thread-other", "tid-dir", "-1", "self-pidfd",
		"self-thread-pidfd", "SELF_THREAD", "SELF_THREAD_GROUP"};
	for (int f = 0; f < NELEM(with); f++)
		for (int i = 0; i < NELEM(flags); i++) {
			const struct fd *fd = fd_named(with[f]);
			ROW("flags/fd=%s/flags=%#x/info=NULL/recv=sigwait", fd->name, flags[i])
				play(&(struct play){.fd = fd, .sig = SIGUSR2, .flags = flags[i], .info = &NULLINFO, .recv = SIGWAIT, .threads = 1});
			ROW("flags/fd=%s/flags=%#x/info=SI_QUEUE/recv=sigwait", fd->name, flags[i])
				play(&(struct play){.fd = fd, .sig = 40, .flags = flags[i], .info = &QUEUE, .recv = SIGWAIT, .threads = 1, .entry = POISONED});
		}
}

/* The caller's parent, by each descriptor that can name it. */
static void parent_row(int dir, int sig, const struct info *info)
{
	char path[32];
	recv_prepare(SIGWAIT);
	name_pid(getpid(), "target");
	pid_t child = start();
	if (child == 0) {
		name_pid(getpid(), "child");
		snprintf(path, sizeof(path), "/proc/%d", getppid());
		int fd = dir ? open(path, O_RDONLY) : pidfd_of(getppid(), 0);
		must(fd, "open");
		send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0);
		recv_collect(SIGWAIT, M1);
		_exit(0);
	}
	must(child, "fork");
	reap(child, M1);
	recv_collect(SIGWAIT, TARGET);
}

static void parents(void)
{
	for (int dir = 0; dir < 2; dir++) {
		ROW("fds/fd=parent-%s/sig=0/info=NULL", dir ? "procdir" : "pidfd")
			parent_row(dir, 0, &NULLINFO);
		ROW("fds/fd=parent-%s/sig=SIGUSR1/info=NULL", dir ? "procdir" : "pidfd")
			parent_row(dir, SIGUSR1, &NULLINFO);
		ROW("fds/fd=parent-%s/sig=34/info=SI_QUEUE", dir ? "procdir" : "pidfd")
			parent_row(dir, 34, &QUEUE);
	}
}

void rows_fd(void)
{
	each_fd();
	each_flag();
	parents();
}
