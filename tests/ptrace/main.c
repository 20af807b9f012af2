#include "tree.h"
#include <stdarg.h>

char *self;

void say(const char *format, ...) {
	char line[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof line - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (write(1, line, n) != n)
		_exit(90);
}

void must(int ok, const char *what) {
	if (ok)
		return;
	say("FAILED %s: %s", what, strerrorname_np(errno));
	_exit(91);
}

int send_quietly(pid_t pid, int sig, siginfo_t *info) {
	int fd = syscall(SYS_pidfd_open, pid, 0);
	must(fd >= 0, "pidfd_open");
	int result = syscall(NR_SEND, fd, sig, info, 0) ? errno : 0;
	close(fd);
	return result;
}

void call(const char *who, pid_t pid, int sig) {
	int result = send_quietly(pid, sig, NULL);
	say("CALL %s: %s", who, result ? strerrorname_np(result) : "0");
}

void await(const char *who, pid_t pid, int options) {
	siginfo_t info = {0};
	must(waitid(P_PID, pid, &info, options | __WALL) == 0, "waitid");
	static const char *const codes[] = {"?", "exited", "killed", "dumped", "trapped", "stopped", "continued"};
	say("%s: %s %d", who, codes[info.si_code], info.si_status);
}

void asleep(pid_t pid) {
	char path[64], stat[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (int seen = 0; seen < 3;) { // a task passes through S on its way; thrice is at rest
		int fd = open(path, O_RDONLY);
		must(fd >= 0, path);
		ssize_t n = read(fd, stat, sizeof stat - 1);
		close(fd);
		must(n > 0, "read stat");
		stat[n] = 0;
		seen = strrchr(stat, ')')[2] == 'S' ? seen + 1 : 0;
		sched_yield();
	}
}

int main(int argc, char **argv) {
	static const struct scene *const all[] = {tree_scenes, stop_scenes, guard_scenes, regs_scenes, ready_scenes};
	self = argv[0];
	alarm(60); // nothing here takes a second
	if (argc < 2)
		return 92;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (const struct scene *s = all[i]; s->name; s++)
			if (strcmp(s->name, argv[1]) == 0) {
				s->play(argv + 2);
				return 0;
			}
	return 93;
}
