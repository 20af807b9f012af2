/* The process that is signalled, and the states it can be in. */
#include "truth.h"
#include <pthread.h>
#include <sched.h>

const char *const state_name[STATES] = {"live", "zombie", "reaped", "stopped", "ignoring", "execed", "thread-execed", "leader-gone"};

void set_cred(const struct cred *c)
{
#ifdef __x86_64__
	long ret = syscall(SYS_setresuid, c->r, c->e, c->s);
#else
	long ret = syscall(SYS_setresuid32, c->r, c->e, c->s);
#endif
	must(ret, "setresuid");
}

void thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t t;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	int err = pthread_create(&t, &attr, fn, arg);
	must(-err, "pthread_create");
}

static void exec_self(const struct scene *sc)
{
	char recv[8], fd[8];
	snprintf(recv, sizeof(recv), "%d", (int)sc->recv);
	snprintf(fd, sizeof(fd), "%d", shared_fd);
	execl("/proc/self/exe", "truth", "--exec-target", recv, fd, (char *)NULL);
	must(-1, "execl");
}

/* The target after its exec: what is pending stays so, the mask is inherited. */
int exec_target(char **argv)
{
	enum recv r = (enum recv)atoi(argv[2]);
	share(atoi(argv[3]));
	recv_prepare(r);
	post(READY2);
	await(GO);
	recv_collect(r, TARGET);
	return 0;
}

static void wait_leader_gone(void)
{
	char path[64], text[256];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = 0;
		char *state = strrchr(text, ')');
		if (n <= 0 || (state && state[2] == 'Z'))
			return;
		sched_yield();
	}
}

static void *second_thread(void *arg)
{
	struct scene *sc = arg;
	recv_prepare(sc->recv);
	*cell(0) = gettid_raw();
	post(EV_THREAD);
	if (sc->state == THREAD_EXECED) {
		await(EV_A);
		exec_self(sc);
	}
	if (sc->state == LEADER_GONE) {
		await(EV_A);
		wait_leader_gone();
		post(READY2);
		await(GO);
	} else {
		await(EV_B); /* the leader has collected */
	}
	recv_collect(sc->recv, THREAD);
	if (sc->state == LEADER_GONE)
		_exit(0);
	post(EV_C);
	return NULL;
}

static void target_states(struct scene *sc)
{
	switch (sc->state) {
	case ZOMBIE:
	case REAPED:
		await(EV_A);
		_exit(0);
	case EXECED:
		await(EV_A);
		exec_self(sc);
		break;
	case THREAD_EXECED:
		await(GO);
		break;
	case LEADER_GONE:
		await(EV_A);
		syscall(SYS_exit, 0);
		break;
	default:
		break;
	}
}

static void target_main(struct scene *sc)
{
	if (sc->session)
		setsid();
	recv_prepare(sc->recv);
	if (sc->state == IGNORING) {
		raw_ignore(sc->sig);
		recv_unblock();
	}
	if (sc->cred)
		set_cred(sc->cred);
	if (sc->threads) {
		thread_start(second_thread, sc);
		await(EV_THREAD);
	}
	post(READY);
	target_states(sc);
	await(GO);
	recv_collect(sc->recv, TARGET);
	if (sc->threads) {
		post(EV_B);
		await(EV_C);
	}
	_exit(0);
}

void target_start(struct scene *sc)
{
	sc->threads |= sc->state == THREAD_EXECED || sc->state == LEADER_GONE;
	sc->pid = sc->clone_pidfd ? start_flags(0x1000 /* CLONE_PIDFD */, &sc->pidfd) : start();
	if (sc->pid == 0)
		target_main(sc);
	must(sc->pid, "fork");
	name_pid(sc->pid, "target");
	await(READY);
	sc->tid = *cell(0);
}

void target_settle(struct scene *sc)
{
	siginfo_t info;
	int status;
	post(EV_A);
	switch (sc->state) {
	case ZOMBIE:
		must(waitid(P_PID, (id_t)sc->pid, &info, WEXITED | WNOWAIT), "waitid");
		break;
	case REAPED:
		must(waitpid(sc->pid, &status, 0), "waitpid");
		break;
	case STOPPED:
		kill(sc->pid, SIGSTOP);
		must(waitpid(sc->pid, &status, WUNTRACED), "waitpid");
		break;
	case EXECED:
	case THREAD_EXECED:
	case LEADER_GONE:
		await(READY2);
		break;
	default:
		break;
	}
}

/* How a child ended, and each time it stopped before. */
void reap(pid_t pid, enum slot s)
{
	int status;
	for (;;) {
		if (waitpid(pid, &status, WUNTRACED) < 0) {
			if (errno == EINTR)
				continue;
			note(s, " wait=%s", strerrorname_np(errno));
			return;
		}
		if (!WIFSTOPPED(status))
			break;
		note(s, " stopped:%s", sig_name(WSTOPSIG(status)));
		kill(pid, SIGCONT);
	}
	if (WIFSIGNALED(status))
		note(s, " died:%s", sig_name(WTERMSIG(status)));
	else
		note(s, " exit:%d", WEXITSTATUS(status));
}

void target_end(struct scene *sc)
{
	if (sc->state == STOPPED)
		kill(sc->pid, SIGCONT);
	post(GO);
	if (sc->state != REAPED)
		reap(sc->pid, TARGET);
}
