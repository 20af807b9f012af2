/* What a parent is told by waitid(2) of a child that is stopped, goes on and ends. */
#include "truth.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static void told(const char *when, int type, int id, int options)
{
	siginfo_t info;
	memset(&info, 0, sizeof(info));
	if (waitid((idtype_t)type, (id_t)id, &info, options) < 0)
		note(CALLER, " %s=%s", when, strerrorname_np(errno));
	else if (info.si_pid == 0)
		note(CALLER, " %s=nobody", when);
	else
		note(CALLER, " %s={code=%d status=%s pid=%s signo=%s}", when, info.si_code, sig_name(info.si_status),
		     pid_name(info.si_pid) ? pid_name(info.si_pid) : "other", sig_name(info.si_signo));
}

/* Each event is waited for and then asked for again: it is there once, with WNOWAIT still. */
static void event(const char *when, int type, int id, int what, int nowait)
{
	told(when, type, id, what | nowait);
	told("again", type, id, what | nowait | WNOHANG);
}

static void stop_row(int sig, const struct info *info, int threads, int by_pidfd, int nowait)
{
	struct scene sc = {.recv = NONE, .threads = threads};
	target_start(&sc);
	int fd = pidfd_of(sc.pid, 0);
	must(fd, "pidfd_open");
	int type = by_pidfd ? P_PIDFD : P_PID, id = by_pidfd ? fd : sc.pid;
	if (send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0) < 0) {
		target_end(&sc);
		return;
	}
	event("stop", type, id, WSTOPPED, nowait);
	note(CALLER, " cont=%s", result(send_raw(PLAIN, fd, SIGCONT, NULL, 0)));
	event("on", type, id, WCONTINUED, nowait);
	note(CALLER, " kill=%s", result(send_raw(PLAIN, fd, SIGKILL, NULL, 0)));
	event("end", type, id, WEXITED, nowait);
}

void rows_wait(void)
{
	static const int sigs[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	for (int s = 0; s < NELEM(sigs); s++)
		for (int bits = 0; bits < 16; bits++) {
			int given = bits & 1, threads = bits >> 1 & 1, by_pidfd = bits >> 2 & 1, nowait = bits >> 3 & 1;
			ROW("wait/sig=%s/info=%s/threads=%d/by=%s/nowait=%d", sig_name(sigs[s]), given ? "SI_QUEUE" : "NULL", threads + 1, by_pidfd ? "pidfd" : "pid", nowait)
				stop_row(sigs[s], given ? &QUEUE : &NULLINFO, threads, by_pidfd, nowait ? WNOWAIT : 0);
		}
}
