/*
 * Callers beside the death of who answers them: each strikes at the victim and at a friend in
 * turn, until told to stop in the file counts=PATH, then by every way, and tries listeners of
 * its own. Some are tasks that no tracer of ours gets. What a friend gets counts as through,
 * too, once the file says that nobody is left who could have allowed it.
 *
 * Descriptor 4 is a pipe's: its end is theirs.
 *
 * With silent=N so many more hand in memory that never answers.
 */
#include "attack.h"

enum { CALLERS = 4, UNTRACED = 2 };

static void befriended(long ret, int closed)
{
	if (closed)
		counted(ret);
	else
		counted_friendly(ret);
}

static int calls(void *arg)
{
	siginfo_t info;
	(void)arg;
	for (unsigned i = 0; !told_to_stop(); i++) {
		enum call call = i % CALLS;
		counted(strike(BY_LIBC, call, &victim, RT, 0));
		int closed = is_closed();
		befriended(strike(BY_LIBC, call, &friend, SIGUSR1, 0), closed);
		closed = is_closed();
		befriended(send_signal(friend.fd, SIGUSR2, i & 1 ? NULL : queued(&info, SIGUSR2, 1), 0), closed);
	}
	strike_all(&victim, counted, 1);
	listeners();
	_exit(0);
}

static void waits_silently(void *arg)
{
	(void)arg;
	strike(BY_LIBC, SEND, &victim, RT, 0);
	for (;;)
		send_signal(friend.fd, RT, silent_page(), 0);
}

int survive(void)
{
	const int stack = 1 << 17;
	meet();
	close(victim.fd);
	victim.fd = 3;
	for (int i = 0; i < UNTRACED; i++)
		must(clone(calls, (char *)malloc((size_t)stack) + stack, CLONE_UNTRACED | SIGCHLD, NULL) > 0, "clone");
	for (long i = option("silent", 0); i > 0; i--)
		start(waits_silently, NULL);
	for (int i = 0; i < CALLERS; i++) {
		pid_t pid = fork(); /* they are to live on without us */
		must(pid >= 0, "fork");
		if (pid == 0)
			calls(NULL);
	}
	say("ready", 1);
	for (int left = CALLERS + UNTRACED; left > 0;)
		left -= waitpid(-1, NULL, __WALL) > 0;
	return 0;
}
