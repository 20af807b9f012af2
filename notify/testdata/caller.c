/*
 * Makes pidfd_send_signal calls for the listener's tests and prints, one line each, what
 * they return: a negative number is a negated errno.
 *
 *	caller ENTRY calls N	N calls in a row
 *	caller ENTRY thread	one call in a second thread: first "tid TID"
 *	caller ENTRY orphan	the same, when the thread's leader has exited
 *	caller ENTRY handler	one call, and SIGUSR1 is handled without SA_RESTART:
 *				first "tid TID", at the end "handled N"
 *	caller ENTRY child	one call in a child: "tid TID" before it, "reaped" after
 *				its end; then waits for the end of stdin
 *
 * ENTRY is syscall, x32 or int80 in a 64-bit program, int80 or sysenter in a 32-bit one.
 * Unused upper halves are poisoned wherever registers have them.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR 424

static const char *entry;
static volatile sig_atomic_t handled;

#ifdef __x86_64__
#define POISON 0xdefaced000000000ul

static long enter(void)
{
	long ret = NR;

	if (!strcmp(entry, "int80")) {
		__asm__ volatile("int $0x80" : "+a"(ret)
				 : "b"(POISON | 0xffffffffu), "c"(POISON), "d"(POISON), "S"(POISON)
				 : "memory", "r8", "r9", "r10", "r11");
		return (int)ret;
	}
	if (!strcmp(entry, "x32"))
		ret |= 0x40000000;
	register unsigned long flags __asm__("r10") = POISON;
	__asm__ volatile("syscall" : "+a"(ret)
			 : "D"(POISON | 0xffffffffu), "S"(POISON), "d"(0l), "r"(flags)
			 : "memory", "rcx", "r11");
	return ret;
}
#else
static long enter(void)
{
	long ret = NR;

	if (!strcmp(entry, "int80"))
		__asm__ volatile("int $0x80" : "+a"(ret) : "b"(-1), "c"(0), "d"(0), "S"(0) : "memory");
	else
		__asm__ volatile("call *%1" : "+a"(ret)
				 : "D"(getauxval(AT_SYSINFO)), "b"(-1), "c"(0), "d"(0), "S"(0) : "memory");
	return ret;
}
#endif

static void call(void)
{
	printf("%ld\n", enter());
}

static void say_tid(void)
{
	printf("tid %ld\n", (long)syscall(SYS_gettid));
}

static pthread_t leader;

static void *thread(void *orphan)
{
	if (orphan)
		pthread_join(leader, NULL);
	say_tid();
	call();
	exit(0);
}

static void in_thread(void *orphan)
{
	pthread_t t;

	leader = pthread_self();
	if (pthread_create(&t, NULL, thread, orphan))
		exit(1);
	if (orphan)
		pthread_exit(NULL);
	pthread_join(t, NULL);
}

static void handle(int sig)
{
	(void)sig;
	handled++;
}

static void with_handler(void)
{
	struct sigaction action = { .sa_handler = handle };

	sigaction(SIGUSR1, &action, NULL);
	say_tid();
	call();
	printf("handled %d\n", (int)handled);
}

static void in_child(void)
{
	char end;
	pid_t pid = fork();

	if (pid == 0) {
		say_tid();
		call();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	puts("reaped");
	if (read(0, &end, 1) != 0)
		exit(1);
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[2] : "";

	entry = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(how, "calls"))
		for (int n = atoi(argv[3]); n > 0; n--)
			call();
	else if (!strcmp(how, "thread"))
		in_thread(NULL);
	else if (!strcmp(how, "orphan"))
		in_thread("orphan");
	else if (!strcmp(how, "handler"))
		with_handler();
	else if (!strcmp(how, "child"))
		in_child();
	else
		return 2;
	return 0;
}
