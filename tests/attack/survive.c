/*
 * Callers beside the death of who answers them: each strikes at the victim and at a friend in
 * turn, until told to stop in the file counts=PATH, then by every way, and tries listeners of
 * its own. Some are tasks that no tracer of ours gets. What a friend gets counts as through,
 * too, once the file says that nobody is left who could have allowed it.
 *
 * Descriptor 4 is a pipe's: its end is theirs.
 *
 * With silent=N so many more hand in memory that never answers.
 *
 * With agent=SOCKET it is its own container: it installs the filter in the file program=PATH,
 * and hands the listener over as runc does.
 */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/un.h>

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

static void install_and_hand_over(const char *agent)
{
	static struct sock_filter code[4096];
	static char text[1024];
	struct sock_fprog prog = {0, code};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct iovec iov = {text, 0};
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	int fd = open(word_option("program"), O_RDONLY);
	prog.len = (unsigned short)(read(fd, code, sizeof(code)) / (ssize_t)sizeof(code[0]));
	close(fd);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	must(listener >= 0, "seccomp");
	iov.iov_len = (size_t)snprintf(text, sizeof(text),
		"{\"ociVersion\":\"1.0.2-dev\",\"fds\":[\"seccompFd\"],\"pid\":%d,\"metadata\":\"%s\",\"state\":"
		"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"survive\",\"status\":\"creating\",\"pid\":%d,\"bundle\":\"/\"}}",
		getpid(), word_option("metadata"), getpid());
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	strncpy(addr.sun_path, agent, sizeof(addr.sun_path) - 1);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 && sendmsg(s, &m, 0) > 0, agent);
	close(listener); /* s stays open, as runc leaves it */
}

int survive(void)
{
	const int stack = 1 << 17;
	const char *agent = word_option("agent");
	if (agent)
		install_and_hand_over(agent);
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
