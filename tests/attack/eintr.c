/* A caller that is signalled while it signals: its child's end and the next call come together. */
#include "attack.h"

static volatile sig_atomic_t got;

static void count(int sig) { got += sig == SIGUSR1; }

/*
 * eintr has handlers without SA_RESTART (restart=1: with). kill(child, SIGKILL) is followed at
 * once by kill(getpid(), SIGUSR1), into which SIGCHLD comes. No kernel lets kill(2) say EINTR.
 */
int eintr(void)
{
	long rounds = option("rounds", 100), interrupted = 0, wrong = 0, late = 0;
	struct sigaction action = {.sa_handler = count, .sa_flags = option("restart", 0) ? SA_RESTART : 0};
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGCHLD, &action, NULL);
	for (long i = 0; i < rounds; i++) {
		pid_t child = fork();
		if (child == 0)
			for (;;)
				pause();
		while (kill(child, SIGKILL) != 0 && errno == EINTR)
			interrupted++;
		int before = got, ret;
		while ((ret = kill(getpid(), SIGUSR1)) != 0 && errno == EINTR)
			interrupted++;
		wrong += ret != 0;
		late += got != before + 1;
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	say("interrupted", interrupted);
	say("wrong", wrong);
	say("late", late);
	return 0;
}
