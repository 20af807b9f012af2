/* What a program can see of a filter around it, and what it may put around itself. */
#include "truth.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static int install(unsigned action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_OWN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {NELEM(code), code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int ret = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return ret < 0 ? -errno : ret;
}

/* A filter of the program's own, under whatever is around it already. */
static void filter_row(unsigned action)
{
	recv_prepare(SIGWAIT);
	int fd = pidfd_of(getpid(), 0);
	must(install(action, 0), "seccomp");
	send_row(PLAIN, fd, SIGUSR1, NULL, 0);
	recv_collect(SIGWAIT, CALLER);
}

/* A filter of the program's own that has something against the older calls alone. */
static void no_kill_row(int sig, const struct info *info)
{
	static const int older[] = {SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo};
	struct sock_filter code[NELEM(older) * 2 + 2] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	struct sock_fprog program = {NELEM(code), code};
	struct scene sc = {.recv = SIGWAIT};
	int n = 1;

	for (int i = 0; i < NELEM(older); i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, older[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV);
	}
	code[n] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	recv_prepare(SIGWAIT);
	target_start(&sc);
	int fd = pidfd_of(sc.pid, 0);
	must(fd, "pidfd_open");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
	send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0);
	target_end(&sc);
}

static void listener_row(void)
{
	int fd = install(SECCOMP_RET_ALLOW, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	note(CALLER, " listener=%s", fd < 0 ? result(fd) : "ok");
}

static void status_row(const char *key)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			note(CALLER, " %.*s", (int)strcspn(line, "\n"), line);
	if (f)
		fclose(f);
}

/* <linux/landlock.h>, of a kernel that scopes signals: ABI 6, 6.12. */
struct ruleset {
	uint64_t fs, net, scoped;
};
enum { LANDLOCK_CREATE = 444, LANDLOCK_RESTRICT = 446, SCOPE_SIGNAL = 2 };

/* A domain that may not signal what is outside of it. */
static void confine(void)
{
	struct ruleset rules = {0, 0, SCOPE_SIGNAL};
	long fd = syscall(LANDLOCK_CREATE, &rules, sizeof(rules), 0);
	must(fd, "landlock_create_ruleset");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	must(syscall(LANDLOCK_RESTRICT, fd, 0), "landlock_restrict_self");
}

static void landlock_row(int inside, int sig, const struct info *info)
{
	struct scene sc = {.recv = SIGWAIT};
	recv_prepare(SIGWAIT);
	if (inside)
		confine();
	target_start(&sc);
	int fd = pidfd_of(sc.pid, 0);
	must(fd, "pidfd_open");
	if (!inside)
		confine();
	send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0);
	target_end(&sc);
}

void rows_around(void)
{
	static const struct { const char *name; unsigned action; } own[] = {
		{"allow", SECCOMP_RET_ALLOW}, {"errno", SECCOMP_RET_ERRNO | 99}, {"log", 0x7ffc0000}, {"trace", SECCOMP_RET_TRACE | 1},
		{"trap", SECCOMP_RET_TRAP}, {"kill-process", 0x80000000}, {"user-notif", 0x7fc00000},
	};
	static const char *const keys[] = {"Seccomp:", "Seccomp_filters:", "NoNewPrivs:", "TracerPid:", "SigIgn:", "SigBlk:"};
	for (int o = 0; o < NELEM(own); o++)
		ROW("around/own-filter=%s/sig=SIGUSR1", own[o].name)
			filter_row(own[o].action);
	ROW("around/own-filter=no-kill/sig=SIGUSR1/info=NULL")
		no_kill_row(SIGUSR1, &NULLINFO);
	ROW("around/own-filter=no-kill/sig=34/info=SI_QUEUE")
		no_kill_row(34, &QUEUE);
	ROW("around/own-listener")
		listener_row();
	for (int k = 0; k < NELEM(keys); k++)
		ROW("around/status=%s", keys[k])
			status_row(keys[k]);
	for (int inside = 0; inside < 2; inside++) {
		ROW("around/landlock/target=%s/sig=SIGUSR1/info=NULL", inside ? "inside" : "outside")
			landlock_row(inside, SIGUSR1, &NULLINFO);
		ROW("around/landlock/target=%s/sig=34/info=SI_QUEUE", inside ? "inside" : "outside")
			landlock_row(inside, 34, &QUEUE);
		ROW("around/landlock/target=%s/sig=0/info=NULL", inside ? "inside" : "outside")
			landlock_row(inside, 0, &NULLINFO);
	}
}
