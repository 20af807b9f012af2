/* What a filter around a program, and the lack of privilege, let it see. */
#include "attack.h"
#include <sys/ptrace.h>

int marks(void)
{
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	must(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 && waitpid(pid, NULL, 0) == pid, "attach");
	say("seccomp", prctl(PR_GET_SECCOMP));
	say("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	errno = 0;
	ptrace(0x420c /* PTRACE_SECCOMP_GET_FILTER */, pid, 0, NULL);
	say("get_filter", errno);
	errno = 0;
	ptrace(PTRACE_SETOPTIONS, pid, 0, 1 << 21 /* PTRACE_O_SUSPEND_SECCOMP */);
	say("suspend", errno);
	kill(pid, SIGKILL);
	return 0;
}
