/* Descriptors: those that name a process, and those that do not. */
#include "truth.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int procdirs;

/* A procfs of another pid namespace has other processes under our numbers. */
static int proc_is_ours(void)
{
	char self[16] = "";
	return readlink("/proc/self", self, sizeof(self) - 1) > 0 && atoi(self) == getpid();
}

/* With --procdirs, a process's directory: what a program has before pidfd_open (5.3). */
int pidfd_of(pid_t pid, unsigned flags)
{
	char path[32];
	int fd;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (!procdirs)
		fd = (int)syscall(SYS_OPEN, pid, flags);
	else if (flags == 0 && proc_is_ours())
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else
		return -ENOSYS;
	return fd < 0 ? -errno : fd;
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int under_proc(pid_t pid, const char *rest, int flags)
{
	char path[96];
	snprintf(path, sizeof(path), "/proc/%d%s", pid, rest);
	return opened(path, flags);
}

static int through_proc(int fd, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return opened(path, flags);
}

static int dir_of(struct scene *sc) { return under_proc(sc->pid, "", O_RDONLY | O_DIRECTORY); }
static int pidfd(struct scene *sc) { return pidfd_of(sc->pid, 0); }
static int self_pidfd(struct scene *sc) { (void)sc; return pidfd_of(getpid(), 0); }
static int thread_leader(struct scene *sc) { return pidfd_of(sc->pid, PIDFD_THREAD_FLAG); }
static int thread_other(struct scene *sc) { return pidfd_of(sc->tid, PIDFD_THREAD_FLAG); }
static int thread_self_fd(struct scene *sc) { (void)sc; return pidfd_of(gettid_raw(), PIDFD_THREAD_FLAG); }
static int nonleader(struct scene *sc) { return pidfd_of(sc->tid, 0); }
static int nonblock(struct scene *sc) { return pidfd_of(sc->pid, O_NONBLOCK); }
static int cloned(struct scene *sc) { return sc->pidfd; }
static int dupped(struct scene *sc) { return dup(pidfd(sc)); }
static int dup_high(struct scene *sc) { return fcntl(pidfd(sc), F_DUPFD, 500); }
static int dup_dir(struct scene *sc) { return dup(dir_of(sc)); }
static int proc_self(struct scene *sc) { (void)sc; return opened("/proc/self", O_RDONLY | O_DIRECTORY); }
static int thread_self(struct scene *sc) { (void)sc; return opened("/proc/thread-self", O_RDONLY); }
static int tid_dir(struct scene *sc) { return under_proc(sc->tid, "", O_RDONLY); }
static int task_dir(struct scene *sc) { return under_proc(sc->pid, "/task", O_RDONLY); }
static int ns_dir(struct scene *sc) { return under_proc(sc->pid, "/ns", O_RDONLY); }
static int fd_dir(struct scene *sc) { return under_proc(sc->pid, "/fd", O_RDONLY); }
static int cwd_dir(struct scene *sc) { return under_proc(sc->pid, "/root", O_RDONLY); }
static int ns_file(struct scene *sc) { return under_proc(sc->pid, "/ns/pid", O_RDONLY); }
static int stat_file(struct scene *sc) { return under_proc(sc->pid, "/stat", O_RDONLY); }
static int proc_root(struct scene *sc) { (void)sc; return opened("/proc", O_RDONLY); }
static int proc_sys(struct scene *sc) { (void)sc; return opened("/proc/sys", O_RDONLY); }
static int root_dir(struct scene *sc) { (void)sc; return opened("/", O_RDONLY); }
static int opath_dir(struct scene *sc) { return under_proc(sc->pid, "", O_PATH); }
static int opath_pidfd(struct scene *sc) { return through_proc(pidfd(sc), O_PATH); }
static int reopened_pidfd(struct scene *sc) { return through_proc(pidfd(sc), O_RDONLY); }
static int reopened_dir(struct scene *sc) { return through_proc(dir_of(sc), O_RDONLY); }
static int regular(struct scene *sc) { (void)sc; return opened("/proc/self/exe", O_RDONLY); }
static int event(struct scene *sc) { (void)sc; return eventfd(0, 0); }
static int epoll(struct scene *sc) { (void)sc; return epoll_create1(0); }
static int memory(struct scene *sc) { (void)sc; return (int)syscall(SYS_memfd_create, "x", 0); }
static int sock(struct scene *sc) { (void)sc; return socket(AF_UNIX, SOCK_STREAM, 0); }
static int minus_1(struct scene *sc) { (void)sc; return -1; }
static int cwd(struct scene *sc) { (void)sc; return -100; }
static int self_thread(struct scene *sc) { (void)sc; return -10000; }
static int self_group(struct scene *sc) { (void)sc; return -10001; }
static int minus_10002(struct scene *sc) { (void)sc; return -10002; }
static int self_group_old(struct scene *sc) { (void)sc; return -20000; }
static int int_min(struct scene *sc) { (void)sc; return -0x7fffffff - 1; }
static int int_max(struct scene *sc) { (void)sc; return 0x7fffffff; }

static int task_tid(struct scene *sc)
{
	char rest[32];
	snprintf(rest, sizeof(rest), "/task/%d", sc->tid);
	return under_proc(sc->pid, rest, O_RDONLY);
}

static int task_leader(struct scene *sc)
{
	char rest[32];
	snprintf(rest, sizeof(rest), "/task/%d", sc->pid);
	return under_proc(sc->pid, rest, O_RDONLY);
}

static int pipe_end(struct scene *sc)
{
	int p[2];
	(void)sc;
	return pipe(p) ? -errno : p[0];
}

static int closed(struct scene *sc)
{
	int fd = pidfd(sc);
	close(fd);
	return fd;
}

/* A descriptor that was another one before: what a cache would get wrong. */
static int replaced(struct scene *sc)
{
	int self = pidfd_of(getpid(), 0), fd = pidfd(sc);
	dup2(fd, self);
	close(fd);
	return self;
}

void scm_pair(int sv[2]) { must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), "socketpair"); }

void scm_send(int sock, int fd)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
	char byte = 'x';
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	must(sendmsg(sock, &m, 0), "sendmsg");
}

int scm_recv(int sock)
{
	union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(int))]; } control = {0};
	char byte;
	int fd = -EBADMSG;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	must(recvmsg(sock, &m, MSG_CMSG_CLOEXEC), "recvmsg");
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Opened by a helper that is gone when the descriptor is used. */
static int received(struct scene *sc)
{
	int sv[2], status;
	scm_pair(sv);
	pid_t helper = start();
	if (helper == 0) {
		scm_send(sv[1], pidfd(sc));
		_exit(0);
	}
	must(helper, "fork");
	waitpid(helper, &status, 0);
	return scm_recv(sv[0]);
}

const struct fd fds[] = {
	{"pidfd", pidfd, 0, 0}, {"procdir", dir_of, 0, 0}, {"clone-pidfd", cloned, 0, 0}, {"scm", received, 0, 0},
	{"dup", dupped, 0, 0}, {"dup-high", dup_high, 0, 0}, {"dup-procdir", dup_dir, 0, 0}, {"nonblock", nonblock, 0, 0},
	{"replaced", replaced, 0, 0}, {"thread-leader", thread_leader, 0, 1}, {"thread-other", thread_other, 0, 1},
	{"nonleader-pidfd", nonleader, 0, 1}, {"tid-dir", tid_dir, 0, 1}, {"task-tid-dir", task_tid, 0, 1},
	{"task-leader-dir", task_leader, 0, 0}, {"task-dir", task_dir, 0, 0}, {"ns-dir", ns_dir, 0, 0}, {"fd-dir", fd_dir, 0, 0},
	{"root-of", cwd_dir, 0, 0}, {"ns-file", ns_file, 0, 0}, {"stat", stat_file, 0, 0}, {"proc", proc_root, 0, 0},
	{"proc-sys", proc_sys, 0, 0}, {"rootdir", root_dir, 0, 0}, {"opath-dir", opath_dir, 0, 0}, {"opath-pidfd", opath_pidfd, 0, 0},
	{"reopened-pidfd", reopened_pidfd, 0, 0}, {"reopened-dir", reopened_dir, 0, 0}, {"regular", regular, 0, 0},
	{"pipe", pipe_end, 0, 0}, {"eventfd", event, 0, 0}, {"epoll", epoll, 0, 0}, {"memfd", memory, 0, 0}, {"socket", sock, 0, 0},
	{"closed", closed, 0, 0}, {"-1", minus_1, 0, 0}, {"-100", cwd, 0, 0}, {"-10002", minus_10002, 0, 0},
	{"-20000", self_group_old, 1, 0}, {"INT_MIN", int_min, 0, 0}, {"INT_MAX", int_max, 0, 0},
	{"self-pidfd", self_pidfd, 1, 0}, {"self-thread-pidfd", thread_self_fd, 1, 0}, {"procself", proc_self, 1, 0},
	{"thread-self-dir", thread_self, 1, 0}, {"SELF_THREAD", self_thread, 1, 0}, {"SELF_THREAD_GROUP", self_group, 1, 0},
};
const int nfds = NELEM(fds);

const struct fd *fd_named(const char *name)
{
	for (int i = 0; i < nfds; i++)
		if (!strcmp(fds[i].name, name))
			return &fds[i];
	fprintf(stderr, "truth: no descriptor called %s\n", name);
	abort();
}
