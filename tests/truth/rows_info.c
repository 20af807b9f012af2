/* Every si_code and every place of siginfo, to another process and to oneself, by
 * each entry; and which errno comes first where several are due. */
#include "truth.h"

static void one(const char *area, const char *fdname, int sig, const struct info *info, enum entry how, enum recv r)
{
	ROW("%s/fd=%s/sig=%s/info=%s/entry=%s/recv=%s", area, fdname, sig_name(sig), info->name, entry_name[how], recv_name[r])
		play(&(struct play){.fd = fd_named(fdname), .sig = sig, .info = info, .entry = how, .recv = r});
}

void rows_info(void)
{
	static const char *const to[] = {"pidfd", "self-pidfd"};
	for (int t = 0; t < NELEM(to); t++)
		for (int how = 0; how < entries; how++) {
			for (int i = 0; i < ncodes; i++)
				one("code", to[t], SIGUSR1, &codes[i], (enum entry)how, SIGWAIT);
			for (int i = 0; i < nplaces; i++)
				one("info", to[t], 36, &places[i], (enum entry)how, SIGWAIT);
		}
	/* Signals that have a table of codes choose the layout that a receiver sees. */
	static const int tables[] = {SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP, SIGCHLD, SIGIO, SIGSYS};
	static const int some[] = {0, 2, 5, 12, 15, 16, 17, 18, 19, 20, 21, 23, 25};
	for (int s = 0; s < NELEM(tables); s++)
		for (int i = 0; i < NELEM(some); i++) {
			one("layout", "self-pidfd", tables[s], &codes[some[i]], PLAIN, SIGWAIT);
			one("layout", "self-pidfd", tables[s], &codes[some[i]], (enum entry)(entries - 1), i % 2 ? SIGNALFD : HANDLER);
		}
	for (int i = 0; i < ncodes; i++) {
		one("code", "SELF_THREAD", 34, &codes[i], PLAIN, SIGWAIT);
		one("code", "procdir", SIGKILL, &codes[i], PLAIN, NONE);
		one("code", "pidfd", 0, &codes[i], PLAIN, SIGWAIT);
	}
}

/* The order of the checks: each row breaks two rules or three. */
void rows_order(void)
{
	static const char *const with[] = {"pidfd", "-1", "regular", "opath-pidfd", "SELF_THREAD"};
	static const int sigs[] = {0, SIGUSR1, 65};
	static const unsigned flags[] = {0, 3, 8};
	static const struct info *const infos[] = {&places[0], &places[2], &places[9], &places[15], &places[20], &places[22],
		&places[23], &codes[1], &codes[6]};
	for (int f = 0; f < NELEM(with); f++)
		for (int s = 0; s < NELEM(sigs); s++)
			for (int g = 0; g < NELEM(flags); g++)
				for (int i = 0; i < NELEM(infos); i++) {
					enum entry how = (enum entry)((i + s) % entries);
					if (g && i > 3)
						continue;
					ROW("order/fd=%s/sig=%s/flags=%u/info=%s/entry=%s", with[f], sig_name(sigs[s]), flags[g], infos[i]->name, entry_name[how])
						play(&(struct play){.fd = fd_named(with[f]), .sig = sigs[s], .flags = flags[g], .info = infos[i],
							.entry = how, .recv = SIGWAIT});
				}
#ifdef __x86_64__
	ROW("order/fd=pidfd/sig=SIGUSR1/info=NULL/entry=x32")
		play(&(struct play){.fd = fd_named("pidfd"), .sig = SIGUSR1, .info = &NULLINFO, .entry = X32, .recv = SIGWAIT});
	ROW("order/fd=pidfd/sig=34/info=SI_QUEUE/entry=x32")
		play(&(struct play){.fd = fd_named("pidfd"), .sig = 34, .info = &QUEUE, .entry = X32, .recv = SIGWAIT});
	ROW("order/fd=-1/sig=0/info=NULL/entry=x32")
		play(&(struct play){.fd = fd_named("-1"), .info = &NULLINFO, .entry = X32, .recv = SIGWAIT});
#endif
}
