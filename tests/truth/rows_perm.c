/* Who may signal whom: user ids in all their kinds, CAP_KILL, SIGCONT's session. */
#include "truth.h"
#include <linux/capability.h>
#include <sys/prctl.h>

static const struct { const char *name; struct cred c; } callers[] = {
	{"root", {0, 0, 0}}, {"3000", {3000, 3000, 3000}}, {"3000/0/0", {3000, 0, 0}}, {"0/3000/0", {0, 3000, 0}},
	{"0/3000/3000", {0, 3000, 3000}}, {"4000/4000/3000", {4000, 4000, 3000}}, {"3000/4000/4000", {3000, 4000, 4000}},
	{"4000/3000/4000", {4000, 3000, 4000}}, {"nobody", {65534, 65534, 65534}},
};

static const struct { const char *name; struct cred c; } targets[] = {
	{"root", {0, 0, 0}}, {"3000", {3000, 3000, 3000}}, {"3000/0/0", {3000, 0, 0}}, {"0/3000/0", {0, 3000, 0}},
	{"0/0/3000", {0, 0, 3000}}, {"0/3000/3000", {0, 3000, 3000}}, {"4000", {4000, 4000, 4000}}, {"nobody", {65534, 65534, 65534}},
};

static void ids(void)
{
	static const int sigs[] = {0, SIGTERM, SIGCONT, 34};
	for (int c = 0; c < NELEM(callers); c++)
		for (int t = 0; t < NELEM(targets); t++)
			for (int s = 0; s < NELEM(sigs); s++) {
				const struct info *info = sigs[s] == 34 ? &QUEUE : &NULLINFO;
				int session = sigs[s] == SIGCONT && (c + t) % 2;
				const char *fd = (c + t) % 3 ? "pidfd" : "procdir";
				ROW("perm/caller=%s/target=%s/fd=%s/sig=%s/info=%s/session=%s", callers[c].name, targets[t].name, fd,
				    sig_name(sigs[s]), info->name, session ? "other" : "same")
					play(&(struct play){.fd = fd_named(fd), .sig = sigs[s], .info = info, .recv = SIGWAIT, .caller = &callers[c].c,
						.target = &targets[t].c, .session = session});
			}
}

/* Keeps, of what there is, these capabilities below 32. */
static void only_cap(uint32_t keep)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	must(syscall(SYS_capget, &head, data), "capget");
	data[0].permitted &= keep;
	data[0].effective = data[0].permitted;
	data[1].permitted = data[1].effective = 0;
	data[0].inheritable = data[1].inheritable = 0;
	must(syscall(SYS_capset, &head, data), "capset");
}

static void no_caps(void) { only_cap(0); }

static void all_but_kill(void) { only_cap(~(1u << CAP_KILL)); }

static void user_with_kill(void)
{
	static const struct cred user = {3000, 3000, 3000};
	must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS");
	set_cred(&user);
	only_cap(1u << CAP_KILL);
}

static void capabilities(void)
{
	static const struct { const char *name; void (*prepare)(void); } how[] = {
		{"none", no_caps}, {"all-but-kill", all_but_kill}, {"3000+kill", user_with_kill},
	};
	static const int sigs[] = {0, SIGTERM, SIGCONT, 34};
	for (int h = 0; h < NELEM(how); h++)
		for (int t = 0; t < NELEM(targets); t++)
			for (int s = 0; s < NELEM(sigs); s++)
				ROW("perm/caps=%s/target=%s/sig=%s", how[h].name, targets[t].name, sig_name(sigs[s]))
					play(&(struct play){.fd = fd_named("pidfd"), .sig = sigs[s], .info = sigs[s] == 34 ? &QUEUE : &NULLINFO,
						.recv = SIGWAIT, .prepare = how[h].prepare, .target = &targets[t].c, .session = 1});
}

/* What comes before the permission, and what after; SIGCONT's exception. */
static void order(void)
{
	static const struct cred user = {3000, 3000, 3000}, root = {0, 0, 0};
	static const struct info *const infos[] = {&NULLINFO, &QUEUE, &codes[1], &codes[6], &places[0], &places[15], &places[20]};
	static const int sigs[] = {0, SIGCONT, SIGKILL, SIGSTOP, 34, 65, -1};
	static const int states[] = {LIVE, ZOMBIE, REAPED};
	for (int st = 0; st < NELEM(states); st++)
		for (int s = 0; s < NELEM(sigs); s++)
			for (int i = 0; i < NELEM(infos); i++) {
				if (st && i > 2)
					continue;
				ROW("perm/denied/state=%s/sig=%s/info=%s", state_name[states[st]], sig_name(sigs[s]), infos[i]->name)
					play(&(struct play){.fd = fd_named("pidfd"), .sig = sigs[s], .info = infos[i], .recv = SIGWAIT,
						.caller = &user, .target = &root, .state = (enum state)states[st], .session = i % 2, .entry = (enum entry)(i % entries)});
			}
	for (unsigned flags = 1; flags <= 2; flags++)
		ROW("perm/denied/flags=%u/sig=SIGTERM", flags)
			play(&(struct play){.fd = fd_named("pidfd"), .sig = SIGTERM, .flags = flags, .info = &NULLINFO, .recv = SIGWAIT,
				.caller = &user, .target = &root});
	ROW("perm/self/uid=3000/sig=SIGUSR1/info=NULL")
		play(&(struct play){.fd = fd_named("self-pidfd"), .sig = SIGUSR1, .info = &NULLINFO, .recv = SIGWAIT, .caller = &user});
	ROW("perm/self/uid=3000/sig=34/info=SI_TIMER")
		play(&(struct play){.fd = fd_named("self-pidfd"), .sig = 34, .info = &codes[2], .recv = SIGWAIT, .caller = &user});
	ROW("perm/self/uid=3000/sig=SIGUSR1/info=SI_KERNEL")
		play(&(struct play){.fd = fd_named("SELF_THREAD_GROUP"), .sig = SIGUSR1, .info = &codes[23], .recv = SIGWAIT, .caller = &user});
}

void rows_perm(void)
{
	ids();
	capabilities();
	order();
}
