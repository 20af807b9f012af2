/* Callers that go on until the supervisor is gone. */
#include "attack.h"

struct tally {
	atomic_long calls, enosys, eintr, other;
};
static struct tally *tally;

static void until_gone(void *arg)
{
	siginfo_t info;
	for (int i = 0;; i++) {
		long ret = send_signal(*(int *)arg, 0, i % 2 ? queued(&info, 0, i) : NULL, 0);
		tally->calls++;
		if (ret == 0 || ret == -EAGAIN)
			continue;
		tally->enosys += ret == -ENOSYS;
		tally->eintr += ret == -EINTR;
		tally->other += ret != -ENOSYS && ret != -EINTR;
		if (ret != -EINTR)
			_exit(0);
	}
}

static void waits(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

int load(void)
{
	enum { CALLERS = 16 };
	pid_t callers[CALLERS], target = start(waits, NULL);
	int fd = pidfd_open_(target, 0);
	tally = shared(sizeof(*tally));
	for (int i = 0; i < CALLERS; i++)
		callers[i] = start(until_gone, &fd);
	while (tally->calls < 200)
		sched_yield();
	say("supervisor", supervisor); /* the test kills it now */
	for (int i = 0; i < CALLERS; i++)
		reap(callers[i]);
	kill(target, SIGKILL);
	say("calls", tally->calls);
	say("enosys", tally->enosys);
	say("other", tally->other);
	return 43;
}
