/*
 * With agent=SOCKET an attack is its own container: it installs the filter in the file
 * program=PATH, killable=1 as one that waits killably, and hands the listener over as runc does.
 */
#include "attack.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

void be_contained(const char *agent)
{
	static struct sock_filter code[4096];
	static char text[1024];
	struct sock_fprog prog = {0, code};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct iovec iov = {text, 0};
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | (option("killable", 0) ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0);
	int fd = open(word_option("program"), O_RDONLY);
	prog.len = (unsigned short)(read(fd, code, sizeof(code)) / (ssize_t)sizeof(code[0]));
	close(fd);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
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
