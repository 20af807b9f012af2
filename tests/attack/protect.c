/* Root inside under --protect-supervisor, against what is outside. The test gives it
   the numbers of our processes and, over a socket, handles that it could only get from
   an accomplice: what is tried with them is the worst case. Nobody else is harmed where
   the protection fails: other numbers get signal 0, mounts are changed in a child. */
#include "attack.h"
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#define GETFD_NR 438
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define NS_MNT_GET_NEXT _IOC(_IOC_READ, 0xb7, 11, 16)
#define NS_MNT_GET_PREV _IOC(_IOC_READ, 0xb7, 12, 16)

enum { MAX_OURS = 16, HANDLES = 4 };
static int ours[MAX_OURS], our_count;                /* outer numbers */
static int handles[HANDLES];                         /* pidfd, pidfd, outer /proc, outer mount namespace */
static struct stat shim;                             /* the supervisor's executable */
static long tries, hits;

static void attempt(int hit, const char *what)
{
	tries++;
	if (!hit)
		return;
	hits++;
	printf("hit by %s (%s)\n", what, strerror(errno));
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(s >= 0 && connect(s, (struct sockaddr *)&address, sizeof(address)) == 0, path);
	return s;
}

static void receive(int s)
{
	char text[512] = {0}, *at = text, control[CMSG_SPACE(sizeof(handles))];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	must(recvmsg(s, &m, MSG_CMSG_CLOEXEC) > 0, "recvmsg");
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	must(c && c->cmsg_len == CMSG_LEN(sizeof(handles)), "handles");
	memcpy(handles, CMSG_DATA(c), sizeof(handles));
	for (char *word; (word = strsep(&at, " ")) && our_count < MAX_OURS;)
		ours[our_count++] = atoi(word);
}

static int of_init(int n)
{
	char path[40];
	snprintf(path, sizeof(path), "/proc/1/task/%d", n);
	return access(path, F_OK) == 0;
}

/* Nobody but the init, with its threads, and ourselves has a number here. */
static void by_number(int n, int pipe_end)
{
	siginfo_t info;
	struct f_owner_ex owner = {F_OWNER_PID, n};
	char buffer[8];
	struct iovec here = {buffer, sizeof(buffer)}, there = {(void *)0x400000, sizeof(buffer)};
	attempt(kill(n, 0) == 0, "kill");
	attempt(kill(-n, 0) == 0, "kill of a group");
	attempt(syscall(SYS_tkill, n, 0) == 0, "tkill");
	attempt(syscall(SYS_tgkill, n, n, 0) == 0, "tgkill");
	attempt(syscall(SYS_rt_sigqueueinfo, n, 0, queued(&info, 0, 0)) == 0, "rt_sigqueueinfo");
	attempt(pidfd_open_(n, 0) >= 0, "pidfd_open");
	attempt(process_vm_readv(n, &here, 1, &there, 1, 0) >= 0, "process_vm_readv");
	attempt(fcntl(pipe_end, F_SETOWN, n) == 0, "F_SETOWN");
	attempt(fcntl(pipe_end, F_SETOWN_EX, &owner) == 0, "F_SETOWN_EX");
}

static void numbers(void)
{
	int ends[2], last = (int)option("numbers", 20000);
	must(pipe(ends) == 0, "pipe");
	for (int n = 2; n <= last; n++)
		if (n != getpid() && !of_init(n))
			by_number(n, ends[0]);
	for (int i = 0; i < our_count; i++)
		if (ours[i] != getpid() && !of_init(ours[i])) {
			by_number(ours[i], ends[0]);
			attempt(kill(ours[i], SIGKILL) == 0, "SIGKILL");
			attempt(kill(ours[i], SIGSTOP) == 0, "SIGSTOP");
			attempt(ptrace(PTRACE_SEIZE, ours[i], 0, 0) == 0, "PTRACE_SEIZE");
			attempt(ptrace(PTRACE_ATTACH, ours[i], 0, 0) == 0, "PTRACE_ATTACH");
		}
	close(ends[0]), close(ends[1]);
}

/* The init is inside: it is spared the signals and may not be looked into. */
static void init_itself(void)
{
	static const int sigs[] = {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV, SIGQUIT, SIGCHLD, SIGURG, SIGPROF, 32, 33, 64};
	char buffer[8];
	struct iovec here = {buffer, sizeof(buffer)}, there = {(void *)0x400000, sizeof(buffer)};
	int fd = pidfd_open_(1, 0);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		must(kill(1, sigs[i]) == 0, "kill init");
	attempt(ptrace(PTRACE_SEIZE, 1, 0, 0) == 0, "PTRACE_SEIZE of init");
	attempt(process_vm_readv(1, &here, 1, &there, 1, 0) >= 0, "process_vm_readv of init");
	attempt(open("/proc/1/mem", O_RDWR) >= 0, "mem of init");
	for (int n = 0; n < 64; n++)
		attempt(syscall(GETFD_NR, fd, n, 0) >= 0, "pidfd_getfd of init");
	close(fd);
}

/* Whoever is in a procfs here and is ours, but for the init. By the file, not by its name:
   a checkout may be called as the program is, and then everything in it is. */
static void scan(int proc, const char *what, int look_alike)
{
	char path[300];
	struct stat exe;
	DIR *dir = fdopendir(openat(proc, ".", O_RDONLY | O_DIRECTORY));
	must(dir != NULL, what);
	for (struct dirent *e; (e = readdir(dir));) {
		int pid = atoi(e->d_name), named = 0;
		for (int i = 0; i < our_count; i++)
			named |= pid == ours[i] && look_alike;
		if (pid <= 1 || (look_alike && !named))
			continue;
		snprintf(path, sizeof(path), "%d/exe", pid);
		attempt(fstatat(proc, path, &exe, 0) == 0 && exe.st_dev == shim.st_dev && exe.st_ino == shim.st_ino, what);
	}
	closedir(dir);
}

/* A procfs that shows the outer processes. From 6.14 on maps, environ and auxv are
   CAP_PERFMON's to read (may_access_mm in kernel/fork.c); no memory is. */
static void outer_proc(int proc)
{
	static const char *const files[] = {"mem", "syscall", "stack", "ns/mnt", "ns/pid", "cwd", "root", "exe", "fd/3"};
	char path[64], link[64];
	for (int i = 0; i < our_count; i++) {
		for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
			snprintf(path, sizeof(path), "%d/%s", ours[i], files[f]);
			int fd = openat(proc, path, O_RDONLY | O_NONBLOCK);
			attempt(fd >= 0 && (f >= 3 || read(fd, link, 1) >= 0), path);
			attempt(readlinkat(proc, path, link, sizeof(link)) > 0, path);
			close(fd);
		}
		snprintf(path, sizeof(path), "%d", ours[i]);
		int fd = openat(proc, path, O_RDONLY | O_DIRECTORY);
		if (fd < 0) /* a helper that has ended */
			continue;
		attempt(send_signal(fd, 0, NULL, 0) == 0, "a directory of the outer /proc");
		attempt(send_signal(fd, SIGKILL, NULL, 0) == 0, "SIGKILL by such a directory");
		close(fd);
	}
}

static int enters(int fd, int kind)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(setns(fd, kind) == 0);
	return reap(pid) != 0;
}

static void by_pidfd(int fd, int is_ours)
{
	static const int kinds[] = {CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNS | CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_NEWCGROUP};
	attempt(send_signal(fd, 0, NULL, 0) == 0, "a pidfd");
	if (is_ours) {
		attempt(send_signal(fd, SIGSTOP, NULL, 0) == 0, "SIGSTOP by a pidfd");
		attempt(send_signal(fd, SIGKILL, NULL, 0) == 0, "SIGKILL by a pidfd");
	}
	for (int n = 0; n < 64; n++) {
		int taken = (int)syscall(GETFD_NR, fd, n, 0);
		attempt(taken >= 0, "pidfd_getfd");
		close(taken);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		attempt(enters(fd, kinds[i]), "setns by a pidfd");
}

/* In another mount namespace, in a child: its /proc shows the outer processes. */
static int in_mounts(int ns)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		tries = hits = 0;
		if (setns(ns, CLONE_NEWNS) != 0)
			_exit(200);
		int proc = open("/proc", O_RDONLY | O_DIRECTORY);
		if (proc >= 0) {
			outer_proc(proc);
			scan(proc, "exe in another mount namespace", 1);
		}
		fflush(stdout);
		_exit(hits != 0);
	}
	int status = reap(pid);
	if (status == 200 << 8)
		return 0;
	attempt(status != 0, "another mount namespace");
	return 1;
}

static int neighbours(unsigned long request)
{
	int entered = 0, ns = open("/proc/self/ns/mnt", O_RDONLY);
	char info[16] = {16};
	for (int i = 0; i < 64; i++) {
		int next = ioctl(ns, request, info);
		close(ns);
		if (next < 0)
			return entered;
		ns = next;
		entered += in_mounts(ns);
	}
	close(ns);
	return entered;
}

/* /proc taken away and mounted again, and once more in a mount namespace of one's own. */
static void proc_again(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid != 0) {
		attempt(reap(pid) != 0, "/proc mounted again");
		return;
	}
	hits = 0;
	for (int i = 0; i < 3; i++) {
		while (umount2("/proc", MNT_DETACH) == 0)
			;
		must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount");
		int proc = open("/proc", O_RDONLY | O_DIRECTORY);
		scan(proc, "/proc mounted again", 0);
		close(proc);
		must(unshare(CLONE_NEWNS) == 0, "unshare");
	}
	fflush(stdout);
	_exit(hits != 0);
}

/* Without a pid namespace what follows would be everybody's end. */
static void be_inside(void)
{
	char name[16] = {0};
	int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
	must(read(fd, name, sizeof(name) - 1) > 0 && strcmp(name, "pidfd-shim\n") == 0 && getppid() == 0, "inside");
	close(fd);
}

/* Everybody inside but the init and the caller. */
static void kill_all(void)
{
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	must(kill(-1, SIGKILL) == 0, "kill -1");
	must(WTERMSIG(reap(pid)) == SIGKILL, "the child");
}

static atomic_int got;
static void count(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	got += info->si_code == SI_QUEUE;
}

/* Calls that the supervisor has to answer: without it they are ENOSYS. */
static long answered(int calls)
{
	siginfo_t info;
	int fd = pidfd_open_(getpid(), 0);
	long done = 0;
	got = 0;
	raw_handler(RT, count, SA_RESTART);
	for (int i = 0; i < calls; i++)
		done += send_signal(fd, RT, queued(&info, RT, i), 0) == 0;
	close(fd);
	return done == got ? done : -1;
}

int protect(void)
{
	be_inside();
	must(stat(getenv("ATTACK_SHIM"), &shim) == 0, "ATTACK_SHIM");
	say("answered", answered(50)); /* helpers are started by now */
	int s = connect_to(getenv("ATTACK_SOCKET")), peer = -1;
	socklen_t size = sizeof(peer);
	receive(s);
	if (getsockopt(s, SOL_SOCKET, SO_PEERPIDFD, &peer, &size) != 0)
		peer = -1;
	numbers();
	init_itself();
	kill_all();
	int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	scan(proc, "/proc", 0);
	close(proc);
	by_pidfd(handles[0], 1);
	by_pidfd(handles[1], 1);
	if (peer >= 0)
		by_pidfd(peer, 0);
	say("peer", peer >= 0);
	outer_proc(handles[2]);
	scan(handles[2], "exe in the outer /proc", 1);
	say("entered_mounts", in_mounts(handles[3]));
	say("neighbours", neighbours(NS_MNT_GET_PREV) + neighbours(NS_MNT_GET_NEXT));
	proc_again();
	say("tries", tries);
	say("hits", hits);
	say("answered_after", answered(50));
	char c;
	return read(s, &c, 1) != 1; /* the test has looked at our processes */
}

/* A call that nobody is there to answer. */
int dead(void)
{
	siginfo_t info;
	int fd = pidfd_open_(getpid(), 0);
	puts(name_of(send_signal(fd, 0, queued(&info, 0, 0), 0)));
	return 0;
}
