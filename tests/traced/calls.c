// Makes some 750 calls of every kind, good and bad, for a tool that prints them. It keeps
// every signal blocked, so that nothing that it sends to itself arrives.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int fd;
static long self;

static void by_pidfd(int pidfd, int sig, const void *info, unsigned flags)
{
	syscall(SYS_pidfd_send_signal, pidfd, sig, info, flags);
}

static siginfo_t record(int signo, int error, int code)
{
	siginfo_t s;
	memset(&s, 0, sizeof s);
	s.si_signo = signo;
	s.si_errno = error;
	s.si_code = code;
	return s;
}

static void signals(void)
{
	static const int list[] = {0, 1, 10, 16, 31, 32, 33, 34, 35, 36, 50, 63, 64, 65, 99, -1, 128, 1000};
	for (size_t i = 0; i < COUNT(list); i++) {
		by_pidfd(fd, list[i], 0, 0);
		by_pidfd(fd, list[i], 0, 8);
		syscall(SYS_kill, self, list[i]);
		syscall(SYS_tkill, self, list[i]);
		syscall(SYS_tgkill, self, self, list[i]);
		syscall(SYS_rt_sigqueueinfo, self, list[i], 0);
	}
}

static void codes(void)
{
	static const int codes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 0x80, 0x81, -1, -2, -3, -4, -5, -6, -7, -8, -60, -100, 12345, INT32_MIN};
	static const int sigs[] = {5, 7, 8, 4, 11, 17, 29, 31, 10, 34, 37, 64, 65, 0, 99};
	for (size_t i = 0; i < COUNT(codes); i++) {
		for (size_t j = 0; j < COUNT(sigs); j++) {
			siginfo_t s = record(sigs[j], j % 3 ? 0 : j ? 3 : 22, codes[i]);
			s.si_pid = 11;
			s.si_uid = 22;
			s.si_value.sival_ptr = (void *)(intptr_t)(i & 1 ? 7 : -1);
			by_pidfd(fd, sigs[j], &s, 0);
			if (j % 4 == 0)
				syscall(SYS_rt_sigqueueinfo, self, sigs[j], &s);
			if (j % 4 == 1)
				syscall(SYS_rt_tgsigqueueinfo, self, self, sigs[j], &s);
			s.si_signo = 12;
			if (j % 4 == 2)
				by_pidfd(fd, sigs[j], &s, 0);
		}
	}
}

static void members(void)
{
	siginfo_t s = record(17, 0, 2);
	s.si_utime = 7;
	s.si_stime = 1234;
	s.si_status = 35;
	by_pidfd(fd, 0, &s, 0);
	s = record(11, 0, 3);
	s.si_lower = (void *)16;
	s.si_upper = (void *)32;
	by_pidfd(fd, 0, &s, 0);
	s = record(31, 0, 1);
	s.si_syscall = 9999;
	s.si_arch = 0xc000003e;
	by_pidfd(fd, 0, &s, 0);
	s = record(10, 0, -1);
	s.si_value.sival_ptr = (void *)(uintptr_t)0x76543210;
	s.si_uid = -1;
	by_pidfd(fd, 10, &s, 0);
	by_pidfd(fd, 10, &s, 8);
	by_pidfd(-1, 10, &s, 0);
	for (int error = -1; error < 140; error += 7) {
		s = record(10, error, -6);
		by_pidfd(fd, 0, &s, 0);
	}
}

static void arguments(void)
{
	static const unsigned flags[] = {1, 2, 4, 3, 7, 8, 9, 0x10, ~0u, 1u << 31};
	static const int pidfds[] = {-1, -2, -100, -10000, -10001, -10002, 0, 999, -20000, INT32_MAX};
	static const uintptr_t wrong[] = {0xdead, -1, 0xdeadbeef};
	for (size_t i = 0; i < COUNT(flags); i++)
		by_pidfd(fd, 0, 0, flags[i]);
	for (size_t i = 0; i < COUNT(pidfds); i++)
		by_pidfd(pidfds[i], 0, 0, 0);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		by_pidfd(fd, 0, (void *)wrong[i], 0);
		by_pidfd(-1, 10, (void *)wrong[i], 8);
		syscall(SYS_rt_sigqueueinfo, self, 10, wrong[i]);
	}
	syscall(SYS_kill, 0, 0);
	syscall(SYS_kill, -99999999, 0);
	syscall(SYS_kill, INT32_MIN, 0);
	syscall(SYS_tgkill, -1, self, 0);
	syscall(SYS_tgkill, self, 0, 10);
	syscall(SYS_tkill, -5, 10);
}

int main(void)
{
	uint64_t all = -1;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, 0, sizeof all);
	close(0);
	self = getpid();
	fd = syscall(SYS_pidfd_open, self, 0);
	signals();
	codes();
	members();
	arguments();
	return 0;
}
