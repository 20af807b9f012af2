/* The dispatch, and what every attack needs. */
#include "attack.h"
#include <dirent.h>
#include <sys/socket.h>

static const struct {
	const char *name;
	int (*run)(void);
} attacks[] = {
	{"storm", storm}, {"self-storm", self_storm}, {"group-storm", group_storm}, {"killed", killed},
	{"recycled", recycled}, {"recycling", recycling}, {"few", few}, {"crowded", crowded}, {"refused", refused}, {"outsider", outsider}, {"outsider-senders", outsider_senders}, {"privilege", privilege},
	{"hostile", hostile}, {"weird", weird}, {"swap-epoll", swap_epoll},
	{"many", many}, {"private-table", private_table}, {"no-leader", no_leader}, {"flip", flip}, {"churn", churn},
	{"load", load}, {"bomb", bomb}, {"protect", protect}, {"dead", dead}, {"peek", peek},
	{"guarded", guarded}, {"every-way", every_way}, {"by-helper", by_helper}, {"handed", handed},
	{"steal", steal}, {"stuck", stuck}, {"dropped", dropped}, {"family-table", family_table}, {"swap-fd", swap_fd}, {"swap-info", swap_info}, {"within", within},
	{"boundary", boundary}, {"handles", get_handles},
	{"survive", survive},
	{"regroup", regroup}, {"everybody", everybody}, {"reuse", reuse}, {"stale-caller", stale_caller},
	{"lost-answer", lost_answer}, {"marks", marks}, {"confine", confine}, {"nested", nested}, {"eintr", eintr}, {"changes", changes}, {"overwrite", overwrite}, {"exec-away", exec_away}, {"storm-kill", storm_kill}, {"spin-away", spin_away},
};

static char **options, **arguments;
pid_t supervisor;

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	supervisor = getppid();
	arguments = argv;
	options = argv + (argc > 1 ? 2 : 1);
	if (argc > 2 && strcmp(argv[1], "init") == 0)
		return ns_init(argv + 2);
	if (argc > 4 && strcmp(argv[1], "outer") == 0)
		return outer(argv + 2);
	if (word_option("agent"))
		be_contained(word_option("agent"));
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (argc > 1 && strcmp(argv[1], attacks[i].name) == 0)
			return attacks[i].run();
	fprintf(stderr, "no such attack\n");
	return 99;
}

void start_over(void)
{
	execv("/proc/self/exe", arguments);
	must(0, "execv");
}

long send_signal(int fd, int sig, const siginfo_t *info, unsigned flags)
{
	return syscall(SEND_NR, fd, sig, info, flags) == 0 ? 0 : -errno;
}

int pidfd_open_(pid_t pid, unsigned flags) { return (int)syscall(OPEN_NR, pid, flags); }

const siginfo_t *queued(siginfo_t *into, int sig, int value)
{
	memset(into, 0, sizeof(*into));
	into->si_signo = sig;
	into->si_code = SI_QUEUE;
	into->si_pid = getpid();
	into->si_uid = getuid();
	into->si_value.sival_int = value;
	return into;
}

void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(98);
}

void *shared(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(at != MAP_FAILED, "mmap");
	return at;
}

void say(const char *name, long value) { printf("%s=%ld\n", name, value); }

long long now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

pid_t start(void (*run)(void *), void *arg)
{
	pid_t parent = getpid(), pid = fork();
	must(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent && getppid() != 0) /* 0: the first of a pid namespace */
		_exit(0);
	run(arg);
	_exit(0);
}

int reap(pid_t pid)
{
	int status;
	pid_t got;
	do
		got = waitpid(pid, &status, __WALL);
	while (got < 0 && errno == EINTR);
	must(got == pid, "waitpid");
	return status;
}

int proc_dir(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", pid);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0, path);
	return fd;
}

const char *name_of(long ret) { return ret == 0 ? "0" : strerrorname_np((int)-ret); }

const char *word_option(const char *name)
{
	size_t length = strlen(name);
	for (char **o = options; *o; o++)
		if (strncmp(*o, name, length) == 0 && (*o)[length] == '=')
			return *o + length + 1;
	return NULL;
}

long option(const char *name, long otherwise)
{
	const char *word = word_option(name);
	return word ? atol(word) : otherwise;
}

void raw_handler(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = flags | SA_SIGINFO};
	must(sigaction(sig, &sa, NULL) == 0, "sigaction");
}

void block_all(void)
{
	uint64_t set = ~0ULL;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
}

int open_fds(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	int n = -2;
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

long status_of(pid_t pid, const char *key)
{
	char path[40], line[256];
	size_t length = strlen(key);
	long value = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, length) == 0 && line[length] == ':')
			value = atol(line + length + 1);
	fclose(f);
	return value;
}

/* The command behind "--" of our own command line. */
char **after_dashes(void)
{
	for (char **o = options; *o; o++)
		if (strcmp(*o, "--") == 0)
			return o + 1;
	must(0, "no command");
	return NULL;
}

static ssize_t with_fd(int socket, int *fd, ssize_t (*pass)(int, struct msghdr *))
{
	char c = 0, room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&c, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), fd, sizeof(int));
	ssize_t n = pass(socket, &m);
	if (n == 1 && CMSG_FIRSTHDR(&m))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	return n;
}

static ssize_t give(int socket, struct msghdr *m) { return sendmsg(socket, m, 0); }
static ssize_t take(int socket, struct msghdr *m) { return recvmsg(socket, m, 0); }

/* Descriptors through a socket. */
void give_fd(int socket, int fd) { must(with_fd(socket, &fd, give) == 1, "sendmsg"); }

int take_fd(int socket)
{
	int fd = -1;
	return with_fd(socket, &fd, take) == 1 ? fd : -1;
}
