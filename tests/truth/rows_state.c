/* Targets that are not simply running. */
#include "truth.h"

static void states(void)
{
	static const int sigs[] = {0, SIGUSR1, SIGKILL, SIGSTOP, SIGCONT, SIGTERM, 34, 65};
	static const char *const with[] = {"pidfd", "procdir"};
	for (int state = ZOMBIE; state < STATES; state++)
		for (int s = 0; s < NELEM(sigs); s++)
			for (int f = 0; f < NELEM(with); f++) {
				int stop = sigs[s] == SIGSTOP || sigs[s] == SIGKILL || state == IGNORING;
				enum recv r = stop ? NONE : f ? HANDLER : SIGWAIT;
				ROW("state=%s/fd=%s/sig=%s/info=NULL/recv=%s", state_name[state], with[f], sig_name(sigs[s]), recv_name[r])
					play(&(struct play){.fd = fd_named(with[f]), .sig = sigs[s], .info = &NULLINFO, .state = (enum state)state, .recv = r});
				ROW("state=%s/fd=%s/sig=%s/info=SI_QUEUE/recv=%s", state_name[state], with[f], sig_name(sigs[s]), recv_name[r])
					play(&(struct play){.fd = fd_named(with[f]), .sig = sigs[s], .info = &QUEUE, .state = (enum state)state, .recv = r, .entry = POISONED});
			}
}

static void dead_and_wrong(void)
{
	static const int dead[] = {ZOMBIE, REAPED};
	static const struct info *const infos[] = {&places[0], &places[2], &places[9], &places[15], &places[20], &codes[1], &codes[6], &codes[2]};
	for (int d = 0; d < NELEM(dead); d++)
		for (int i = 0; i < NELEM(infos); i++)
			for (int how = 0; how < entries; how++)
				for (int sig = 0; sig <= 65; sig += 65)
					ROW("state=%s/fd=pidfd/sig=%d/info=%s/entry=%s", state_name[dead[d]], sig, infos[i]->name, entry_name[how])
						play(&(struct play){.fd = fd_named("pidfd"), .sig = sig, .info = infos[i], .entry = (enum entry)how, .state = (enum state)dead[d]});
	for (unsigned flags = 1; flags <= 4; flags *= 2)
		for (int d = 0; d < NELEM(dead); d++) {
			ROW("state=%s/fd=pidfd/sig=SIGUSR1/flags=%u", state_name[dead[d]], flags)
				play(&(struct play){.fd = fd_named("pidfd"), .sig = SIGUSR1, .flags = flags, .info = &NULLINFO, .state = (enum state)dead[d]});
			ROW("state=%s/fd=thread-other/sig=SIGUSR1/flags=%u", state_name[dead[d]], flags)
				play(&(struct play){.fd = fd_named("thread-other"), .sig = SIGUSR1, .flags = flags, .info = &NULLINFO, .state = (enum state)dead[d]});
		}
}

static void threads_changed(void)
{
	static const char *const with[] = {"thread-leader", "thread-other", "tid-dir"};
	static const enum state after[] = {LEADER_GONE, THREAD_EXECED, EXECED};
	for (int f = 0; f < NELEM(with); f++)
		for (int s = 0; s < NELEM(after); s++)
			for (unsigned flags = 0; flags <= 2; flags++)
				ROW("state=%s/fd=%s/sig=SIGUSR1/flags=%u/info=SI_QUEUE", state_name[after[s]], with[f], flags)
					play(&(struct play){.fd = fd_named(with[f]), .sig = SIGUSR1, .flags = flags, .info = &QUEUE, .state = after[s], .recv = SIGWAIT});
}

/* Only a kernel thread may be killed for a test: in a container pid 2 is somebody. */
static int is_kthread(int pid)
{
	char path[32], text[512];
	unsigned flags = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	char *at = strrchr(text, ')');
	return at && sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %u", &flags) == 1 && flags & 0x200000;
}

static void fixed(int pid, int sig, const struct info *info, int kthread)
{
	if (kthread && !is_kthread(pid)) {
		note(CALLER, " pid %d is no kernel thread here", pid);
		return;
	}
	int fd = pidfd_of(pid, 0);
	must(fd, "pidfd_open");
	send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0);
}

static void fixed_targets(void)
{
	static const int sigs[] = {0, SIGKILL, SIGSTOP, SIGUSR1, 34, 65};
	for (int s = 0; s < NELEM(sigs); s++) {
		ROW("state=kthread/sig=%s/info=NULL", sig_name(sigs[s]))
			fixed(2, sigs[s], &NULLINFO, 1);
		ROW("state=kthread/sig=%s/info=SI_QUEUE", sig_name(sigs[s]))
			fixed(2, sigs[s], &QUEUE, 1);
	}
	ROW("state=init/sig=0/info=NULL")
		fixed(1, 0, &NULLINFO, 0);
	ROW("state=init/sig=0/info=SI_QUEUE")
		fixed(1, 0, &QUEUE, 0);
	ROW("state=init/sig=0/info=SI_USER")
		fixed(1, 0, &codes[1], 0);
	ROW("state=init/sig=65/info=NULL")
		fixed(1, 65, &NULLINFO, 0);
	ROW("state=init/sig=0/info=NULL/uid=65534") {
		set_cred(&(struct cred){65534, 65534, 65534});
		fixed(1, 0, &NULLINFO, 0);
	}
}

void rows_state(void)
{
	states();
	dead_and_wrong();
	threads_changed();
	fixed_targets();
}
