/*
 * A sandbox around a command:
 *
 *   attack outer ACTION NUMBER... -- COMMAND [ARG...]
 *
 * ACTION is what its filter does with the system calls NUMBER: an errno's number, trap, kill
 * or log. Every other call is allowed.
 */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

int outer(char **argv)
{
	enum { MOST = 16 };
	struct sock_filter code[MOST + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
	unsigned action = SECCOMP_RET_ERRNO | (unsigned)atoi(argv[0]);
	if (strcmp(argv[0], "trap") == 0)
		action = SECCOMP_RET_TRAP;
	if (strcmp(argv[0], "kill") == 0)
		action = SECCOMP_RET_KILL_PROCESS;
	if (strcmp(argv[0], "log") == 0)
		action = SECCOMP_RET_LOG;
	int calls = 0;
	while (strcmp(argv[1 + calls], "--") != 0)
		calls++;
	for (int i = 0; i < calls; i++)
		code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)atoi(argv[1 + i]), (unsigned char)(calls - i), 0);
	code[1 + calls] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[2 + calls] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
	struct sock_fprog program = {(unsigned short)(calls + 3), code};
	must(calls <= MOST && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
	execvp(argv[2 + calls], argv + 2 + calls);
	must(0, argv[2 + calls]);
	return 1;
}
