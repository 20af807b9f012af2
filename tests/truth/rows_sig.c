/* Every signal: by default action, received three ways, and numbers that are none. */
#include "truth.h"

static void valid_signals(void)
{
	const struct fd *fd = fd_named("pidfd");
	for (int sig = 1; sig <= 64; sig++) {
		ROW("sig/fd=pidfd/sig=%s/info=NULL/recv=none", sig_name(sig))
			play(&(struct play){.fd = fd, .sig = sig, .info = &NULLINFO, .recv = NONE});
		ROW("sig/fd=pidfd/sig=%s/info=SI_QUEUE/recv=none", sig_name(sig))
			play(&(struct play){.fd = fd, .sig = sig, .info = &QUEUE, .recv = NONE, .entry = POISONED});
		if (sig > 36 && sig < 62)
			continue;
		ROW("sig/fd=pidfd/sig=%s/info=NULL/recv=handler", sig_name(sig))
			play(&(struct play){.fd = fd, .sig = sig, .info = &NULLINFO, .recv = HANDLER});
		ROW("sig/fd=pidfd/sig=%s/info=SI_QUEUE/recv=async", sig_name(sig))
			play(&(struct play){.fd = fd, .sig = sig, .info = &QUEUE, .recv = ASYNC});
	}
}

static void invalid_signals(void)
{
	static const int bad[] = {65, 66, 127, 128, 255, 256, 0x10000, -1, -2, -64, 0x7fffffff, -0x7fffffff - 1};
	static const char *const with[] = {"pidfd", "procdir", "-1", "self-pidfd", "SELF_THREAD_GROUP"};
	for (int f = 0; f < NELEM(with); f++)
		for (int i = 0; i < NELEM(bad); i++) {
			enum entry how = (enum entry)(i % entries);
			ROW("sig/fd=%s/sig=%d/info=NULL/entry=%s", with[f], bad[i], entry_name[how])
				play(&(struct play){.fd = fd_named(with[f]), .sig = bad[i], .info = &NULLINFO, .recv = SIGWAIT, .entry = how});
			ROW("sig/fd=%s/sig=%d/info=SI_QUEUE/entry=%s", with[f], bad[i], entry_name[how])
				play(&(struct play){.fd = fd_named(with[f]), .sig = bad[i], .info = &QUEUE, .recv = SIGWAIT, .entry = how});
		}
}

static void three_ways(void)
{
	static const int sigs[] = {SIGHUP, SIGSEGV, SIGCHLD, SIGIO, SIGSYS, SIGCONT, 33, 34, 64};
	static const char *const with[] = {"pidfd", "procdir", "self-pidfd", "SELF_THREAD"};
	for (int f = 0; f < NELEM(with); f++)
		for (int i = 0; i < NELEM(sigs); i++)
			for (int r = HANDLER; r <= SIGNALFD; r++) {
				const struct fd *fd = fd_named(with[f]);
				ROW("ways/fd=%s/sig=%s/info=NULL/recv=%s", fd->name, sig_name(sigs[i]), recv_name[r])
					play(&(struct play){.fd = fd, .sig = sigs[i], .info = &NULLINFO, .recv = (enum recv)r});
				ROW("ways/fd=%s/sig=%s/info=SI_QUEUE/recv=%s", fd->name, sig_name(sigs[i]), recv_name[r])
					play(&(struct play){.fd = fd, .sig = sigs[i], .info = &QUEUE, .recv = (enum recv)r});
			}
}

void rows_sig(void)
{
	valid_signals();
	invalid_signals();
	three_ways();
}
