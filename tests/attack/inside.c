/* A policy seen from inside namespaces, mounts and filters of the sandbox's own. */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

static char dir_of[64];

static const char *under(const char *root, pid_t pid)
{
	snprintf(dir_of, sizeof(dir_of), "%s/%d", root, pid);
	return dir_of;
}

/* Everything by one descriptor; what it says does not matter but success does. */
static void try_fd(int fd)
{
	siginfo_t info;
	for (unsigned flags = 0; flags <= 4; flags = flags ? flags * 2 : 1) {
		counted(send_signal(fd, RT, NULL, flags));
		counted(send_signal(fd, RT, queued(&info, RT, 1), flags));
		counted(send_signal(fd, SIGKILL, NULL, flags));
	}
}

void own_mounts(void)
{
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount private");
}

/* A fake /proc, and directories that are mounted over each other. */
static void fake_proc(void)
{
	siginfo_t info;
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY);
	own_mounts();
	char from[64];
	snprintf(from, sizeof(from), "/proc/%d", victim.pid);
	must(mount(from, under("/proc", friend.pid), NULL, MS_BIND, NULL) == 0, "bind the victim");
	try_fd(proc_dir(friend.pid)); /* it is the victim's */
	must(umount2(under("/proc", friend.pid), MNT_DETACH) == 0, "umount");
	snprintf(from, sizeof(from), "/proc/%d", friend.pid);
	must(mount(from, under("/proc", victim.pid), NULL, MS_BIND, NULL) == 0, "bind the friend");
	counted_friendly(send_signal(proc_dir(victim.pid), RT, queued(&info, RT, 1), 0)); /* it is the friend's */
	strike_all(&victim, counted, 1);
	must(mount("tmpfs", "/proc", "tmpfs", 0, NULL) == 0, "mount tmpfs");
	must(mkdir(under("/proc", victim.pid), 0755) == 0, "mkdir");
	try_fd(proc_dir(victim.pid));
	must(mkdir("/proc/self", 0755) == 0 && mount("/proc/self", "/proc/self", NULL, MS_BIND, NULL) == 0, "mkdir");
	strike_all(&victim, counted, 1);
	strike_all(&friend, counted_friendly, 0);
	counted_friendly(send_signal(self, RT, NULL, 0));
}

/* Another root, with another procfs in it. */
static void other_root(void)
{
	own_mounts();
	const char *scratch = word_option("scratch");
	must(mount("tmpfs", scratch, "tmpfs", 0, NULL) == 0, "mount tmpfs");
	must(chroot(scratch) == 0 && chdir("/") == 0, "chroot");
	strike_all(&victim, counted, 1);
	must(mkdir("/proc", 0755) == 0 && mount("proc", "/proc", "proc", 0, NULL) == 0, "mount proc");
	try_fd(proc_dir(victim.pid));
	strike_all(&victim, counted, 1);
	strike_all(&friend, counted_friendly, 0);
}

/* The init of a pid namespace: the victim has no number there, until somebody else has its. */
static void inner_init(void *arg)
{
	int old_dir = *(int *)arg;
	struct whom inner = {.pid = victim.pid, .tid = victim.pid};
	own_mounts();
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount proc");
	strike_all(&victim, counted, 1); /* no such numbers, and a descriptor of the victim */
	try_fd(old_dir);
	pid_t pid = fork_numbered(victim.pid);
	must(pid >= 0, "clone3");
	if (pid == 0)
		for (;;)
			pause();
	setpgid(pid, pid);
	inner.fd = pidfd_open_(pid, 0);
	strike_all(&inner, counted_friendly, 0);
	inner.fd = proc_dir(pid);
	strike_all(&inner, counted_friendly, 0);
	struct whom init = {1, 1, proc_dir(1)};
	for (enum call call = 0; call < CALLS; call++)
		counted_friendly(strike(BY_LIBC, call, &init, 0, 0));
	summary();
	fflush(stdout);
	_exit(0);
}

static void pid_namespace(void)
{
	int old_dir = proc_dir(victim.pid);
	must(unshare(CLONE_NEWPID) == 0, "unshare");
	must(reap(start(inner_init, &old_dir)) == 0, "the inner init");
	kill(friend.pid, SIGKILL);
	_exit(0); /* it has said all */
}

static void write_map(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY);
	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

struct gates {
	int made[2], mapped[2];
};

/* In a user namespace in which the victim's uid is root's. */
static void as_its_root(void *arg)
{
	struct gates *g = arg;
	char c = 0;
	must(unshare(CLONE_NEWUSER) == 0, "unshare");
	strike_all(&victim, counted, 1); /* as nobody */
	must(write(g->made[1], &c, 1) == 1 && read(g->mapped[0], &c, 1) == 1, "pipe");
	must(setresuid(0, 0, 0) == 0, "setresuid");
	strike_all(&victim, counted, 1);
	summary();
	fflush(stdout);
	_exit(0);
}

static void user_namespace(void)
{
	struct gates g;
	char c = 0;
	must(pipe(g.made) == 0 && pipe(g.mapped) == 0, "pipe");
	pid_t pid = start(as_its_root, &g);
	must(read(g.made[0], &c, 1) == 1, "read");
	write_map(pid, "uid_map", "0 4242 1\n");
	must(write(g.mapped[1], &c, 1) == 1, "write");
	must(reap(pid) == 0, "its root");
	kill(friend.pid, SIGKILL);
	_exit(0);
}

static int own_filter(unsigned action, unsigned flags)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, action)};
	/* Not for everything: a program still has to live. */
	struct sock_filter some[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SEND_NR, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigqueueinfo, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, action),
	};
	int all = action == SECCOMP_RET_ALLOW;
	struct sock_fprog prog = {all ? 1 : sizeof(some) / sizeof(some[0]), all ? code : some};
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

struct own {
	unsigned action, flags;
};

static void filtered(void *arg)
{
	struct own *own = arg;
	int fd = own_filter(own->action, own->flags);
	if (own->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
		say("listener", fd < 0 ? -errno : 0);
		if (fd < 0)
			own_filter(SECCOMP_RET_USER_NOTIF, 0);
	} else
		must(fd == 0, "seccomp");
	strike_all(&victim, counted, 1);
	strike_all(&friend, counted_friendly, 0);
	summary();
	fflush(stdout);
}

/* A tracer inside that lets every call that its own filter stops go on. */
static void traces(void *arg)
{
	struct own own = {SECCOMP_RET_TRACE | 1, 0};
	int status;
	(void)arg;
	pid_t pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
			raise(SIGSTOP);
		else
			own.action = SECCOMP_RET_ALLOW;
		filtered(&own);
		_exit(0);
	}
	waitpid(pid, &status, __WALL);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
	while (!WIFEXITED(status) && !WIFSIGNALED(status)) {
		int sig = WIFSTOPPED(status) && status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP ? WSTOPSIG(status) : 0;
		if (ptrace(PTRACE_CONT, pid, 0, sig) != 0 || waitpid(pid, &status, __WALL) < 0)
			break;
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void own_filters(void)
{
	static struct own all[] = {
		{SECCOMP_RET_ALLOW, 0}, {SECCOMP_RET_TRACE | 1, 0}, {SECCOMP_RET_TRACE | 2, 0},
		{SECCOMP_RET_ERRNO | EBUSY, 0}, {SECCOMP_RET_USER_NOTIF, 0},
		{SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER},
	};
	pid_t pid = start((void (*)(void *))filtered, &all[option("filter", 0)]);
	must(reap(pid) == 0, "the filtered");
	kill(friend.pid, SIGKILL);
	_exit(0);
}

int within(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenes[] = {
		{"fake-proc", fake_proc}, {"other-root", other_root}, {"pid-namespace", pid_namespace},
		{"user-namespace", user_namespace}, {"own-filters", own_filters},
	};
	const char *scene = word_option("scene");
	meet();
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		if (scene && strcmp(scene, scenes[i].name) == 0)
			scenes[i].run();
	if (scene && strcmp(scene, "own-tracer") == 0) {
		must(reap(start(traces, NULL)) == 0, "the tracer");
		_exit(0);
	}
	return summary();
}
