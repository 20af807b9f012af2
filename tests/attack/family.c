/* The older calls under a policy: groups, everybody, numbers that change hands. */
#include "attack.h"
#include <sys/mount.h>
#include <sys/ptrace.h>

static atomic_int family_stop;
static struct whom own_victim;

static void *regroups(void *arg)
{
	(void)arg;
	while (!family_stop) {
		setpgid(own_victim.pid, friend.pid);
		setpgid(own_victim.pid, own_victim.pid);
	}
	return NULL;
}

/* A guarded process that is moved into the friend's group and out of it. */
int regroup(void)
{
	long calls = option("calls", 400), done = 0;
	pthread_t thread;
	siginfo_t info;
	block_all();
	befriend(&friend);
	guard_inside(&own_victim);
	pthread_create(&thread, NULL, regroups, NULL);
	for (long i = 0; i < calls; i++) {
		int sig = i & 8 ? SIGUSR1 : SIGTERM;
		long ret;
		switch (i % 3) {
		case 0: ret = kill(-friend.pid, sig) == 0 ? 0 : -errno; break;
		case 1: ret = send_signal(friend.fd, sig, NULL, 4); break;
		default: ret = send_signal(friend.fd, sig, queued(&info, sig, 1), 4); break;
		}
		done += ret == 0;
	}
	family_stop = 1;
	pthread_join(thread, NULL);
	say("attempts", calls);
	say("done", done);
	say("friendly", pending_of(friend.pid) == (1ULL << (SIGUSR1 - 1) | 1ULL << (SIGTERM - 1)));
	say("through", pending_of(own_victim.pid) != 0);
	kill(friend.pid, SIGKILL);
	return 0;
}

/* The init of a pid namespace in which there are a friend and a guarded process. */
static void inner_everybody(void *arg)
{
	long calls = option("calls", 100), done = 0;
	int status;
	(void)arg;
	own_mounts();
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount proc");
	befriend(&friend);
	guard_inside(&own_victim);
	pid_t caller = fork();
	if (caller == 0) {
		setpgid(0, friend.pid);
		setpgid(own_victim.pid, friend.pid); /* not our child: by its parent, below */
		for (long i = 0; i < calls; i++) {
			static const int sigs[] = {0, SIGUSR1, RT, SIGCONT};
			done += kill(-1, sigs[i & 3]) == 0;
			done += kill(0, sigs[i & 3]) == 0;
		}
		_exit(done > calls ? 0 : 1);
	}
	setpgid(own_victim.pid, friend.pid);
	must(waitpid(caller, &status, 0) == caller, "waitpid");
	say("attempts", 2 * calls);
	say("done", WEXITSTATUS(status) == 0);
	say("friendly", (pending_of(friend.pid) & 1ULL << (SIGUSR1 - 1)) != 0);
	say("through", pending_of(own_victim.pid) != 0);
	fflush(stdout);
	/* And the worst of it. */
	caller = fork();
	if (caller == 0) {
		kill(-1, SIGKILL);
		_exit(0);
	}
	must(waitpid(caller, &status, 0) == caller, "waitpid");
	long long limit = now_us() + 10000000;
	while (waitpid(friend.pid, &status, WNOHANG) != friend.pid && now_us() < limit)
		sched_yield();
	say("killed_friend", now_us() < limit);
	say("killed_victim", pending_of(own_victim.pid) == ~0ULL);
	fflush(stdout);
	_exit(0);
}

int everybody(void)
{
	block_all();
	must(unshare(CLONE_NEWPID) == 0, "unshare");
	must(reap(start(inner_everybody, NULL)) == 0, "the inner init");
	return 0;
}

/*
 * A number that belongs by turns to a child of ours, who may be signalled, and to a
 * child of another process, who may not: so from its birth.
 */
static atomic_int number, rounds_left;
static atomic_int stale_fd = -1;
static atomic_long strikes, arrived;

static void *strikes_number(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	siginfo_t info;
	block_all();
	while (rounds_left > 0) {
		pid_t pid = number;
		long ret = 0;
		queued(&info, RT, 1);
		if (pid == 0)
			continue;
		switch (rand_r(&seed) % 6) {
		case 0: ret = kill(pid, RT); break;
		case 1: ret = syscall(SYS_tkill, pid, RT); break;
		case 2: ret = syscall(SYS_tgkill, pid, pid, RT); break;
		case 3: ret = syscall(SYS_rt_sigqueueinfo, pid, RT, &info); break;
		case 4: ret = syscall(SYS_rt_tgsigqueueinfo, pid, pid, RT, &info); break;
		case 5: ret = send_signal(stale_fd, RT, rand_r(&seed) & 1 ? &info : NULL, 0); break;
		}
		strikes++;
		arrived += ret == 0;
	}
	return NULL;
}

enum { UNBORN = 1 }; /* no mask of what is sent here */

struct breeder {
	int order[2], report[2]; /* pid_t asks for one with that number, its pending mask answers */
};

/* The other process: each child lives until something could have reached it. */
static void breeds(void *arg)
{
	struct breeder *b = arg;
	pid_t wanted;
	unsigned seed = 7;
	block_all();
	while (read(b->order[0], &wanted, sizeof(wanted)) == sizeof(wanted)) {
		uint64_t hit = UNBORN;
		pid_t pid = -1;
		for (int tries = 3000; pid < 0 && tries > 0; tries--) {
			pid = fork_numbered(wanted);
			if (pid < 0)
				sched_yield();
		}
		if (pid == 0)
			for (;;)
				pause();
		if (pid > 0) {
			long long look = now_us() + rand_r(&seed) % 500;
			while (now_us() < look)
				sched_yield();
			hit = pending_of(pid);
			kill(pid, SIGKILL);
			reap(pid);
		}
		must(write(b->report[1], &hit, sizeof(hit)) == sizeof(hit), "write");
	}
	_exit(0);
}

static void *short_thread(void *arg)
{
	unsigned *seed = arg;
	long until = strikes + 2 + rand_r(seed) % 8; /* calls that began with it */
	number = (pid_t)syscall(SYS_gettid);
	while (strikes < until)
		sched_yield();
	return NULL;
}

/* who: 0 a child, 1 one that is traced, so that it cannot be pinned, 2 a thread of ours. */
int reuse(void)
{
	struct breeder b;
	long rounds = option("rounds", 150), hits = 0, bred = 0;
	int who = (int)option("who", 0), status;
	pthread_t threads[2];
	unsigned seed = (unsigned)option("seed", 1);
	block_all();
	must(pipe(b.order) == 0 && pipe(b.report) == 0, "pipe");
	pid_t breeder = start(breeds, &b);
	rounds_left = (int)rounds;
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, strikes_number, (void *)(i + 1));
	for (; rounds_left > 0; rounds_left--) {
		pid_t pid = 0;
		uint64_t hit;
		if (who == 2) {
			pthread_t t;
			number = 0;
			pthread_create(&t, NULL, short_thread, &seed);
			pthread_join(t, NULL);
			pid = number;
		} else {
			pid = fork();
			must(pid >= 0, "fork");
			if (pid == 0) {
				if (who == 1)
					ptrace(PTRACE_TRACEME, 0, 0, 0);
				for (;;)
					pause();
			}
			int fd = pidfd_open_(pid, 0), old = atomic_exchange(&stale_fd, fd);
			if (old >= 0)
				close(old);
			number = pid;
			/* Every other one lives until a call that began with it has returned. */
			long until = rounds_left % 2 ? strikes + 3 : 0;
			while (strikes < until)
				sched_yield();
			for (int spins = rand_r(&seed) % 20000; spins > 0; spins--)
				__asm__ volatile("pause");
			kill(pid, SIGKILL);
			while (waitpid(pid, &status, __WALL) != pid || WIFSTOPPED(status))
				;
		}
		must(write(b.order[1], &pid, sizeof(pid)) == sizeof(pid), "write");
		must(read(b.report[0], &hit, sizeof(hit)) == sizeof(hit), "read");
		bred += hit != UNBORN;
		hits += hit != 0 && hit != UNBORN;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	kill(breeder, SIGKILL);
	say("attempts", strikes);
	say("arrived", arrived);
	say("rounds", bred);
	say("through", hits);
	return 0;
}

/* A caller's number that changes hands between two pid namespaces. */
static atomic_int *stage;

static void inner_caller(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		counted_friendly(kill(victim.pid, RT) == 0 ? 0 : -errno); /* the namesake */
	_exit(0);
}

static void stays(void *arg)
{
	(void)arg;
	pid_t namesake = fork_numbered(victim.pid);
	must(namesake >= 0, "clone3");
	if (namesake == 0)
		for (;;)
			pause();
	*stage = 1;
	while (*stage == 1)
		sched_yield();
	pid_t pid = fork();
	if (pid == 0)
		inner_caller(NULL);
	must(pid > 0 && reap(pid) == 0, "the inner caller");
	*stage = 3;
	for (;;)
		pause();
}

/* The number outside of the last child of init. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	int pid, last = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	FILE *f = fopen(path, "r");
	must(f != NULL, path);
	while (fscanf(f, "%d", &pid) == 1)
		last = pid;
	fclose(f);
	return last;
}

static atomic_int *namesake_outside;

/* The parent of the namespace; it ends when the outer caller is through. */
static void has_inner(void *arg)
{
	(void)arg;
	must(unshare(CLONE_NEWPID) == 0, "unshare");
	pid_t init = start(stays, NULL);
	while (*stage != 1)
		sched_yield();
	*namesake_outside = child_of(init);
	*stage = 2;
	while (*stage != 4)
		sched_yield();
	kill(init, SIGKILL);
	_exit(0);
}

int stale_caller(void)
{
	long rounds = option("rounds", 5);
	meet();
	stage = shared(sizeof(*stage));
	namesake_outside = shared(sizeof(*namesake_outside));
	for (long i = 0; i < rounds; i++) {
		*stage = 0;
		pid_t parent = start(has_inner, NULL);
		while (*stage != 3)
			sched_yield();
		/* The inner caller's was one of the next numbers, and nobody's now. */
		for (pid_t number = *namesake_outside + 1; number < *namesake_outside + 100; number++) {
			pid_t pid = fork_numbered(number);
			if (pid == 0) {
				for (enum call call = 1; call < CALLS; call++)
					counted(strike(BY_LIBC, call, &victim, RT, 0));
				siginfo_t info;
				counted_friendly(send_signal(-10001, RT, queued(&info, RT, 1), 0)); /* to itself */
				counted_friendly((pending_of(getpid()) >> (RT - 1) & 1) - 1L);
				_exit(0);
			}
			if (pid > 0)
				reap(pid);
		}
		*stage = 4;
		must(reap(parent) == 0, "the parent of the inner init");
	}
	return summary();
}

/* The call's instruction in memory that another thread writes meanwhile. */
static unsigned char *code;

static void *overwrites(void *arg)
{
	static const unsigned char nothing[2] = {0x90, 0x90}, int80[2] = {0xcd, 0x80};
	unsigned char call[2];
	unsigned seed = 3;
	(void)arg;
	memcpy(call, code, 2);
	while (!family_stop) {
		const unsigned char *with = rand_r(&seed) & 1 ? nothing : int80;
		*(volatile uint16_t *)code = *(const uint16_t *)(const void *)with;
		for (int spins = rand_r(&seed) % 500; spins > 0; spins--)
			__asm__ volatile("pause");
		*(volatile uint16_t *)code = *(const uint16_t *)(const void *)call;
		for (int spins = rand_r(&seed) % 20000; spins > 0; spins--)
			__asm__ volatile("pause");
	}
	return NULL;
}

static long call_code(long nr, long a, long b, long c)
{
	long ret;
#ifdef __x86_64__
	__asm__ volatile("call *%1" : "=a"(ret) : "r"(code), "a"(nr), "D"(a), "S"(b), "d"(c) : "memory", "rcx", "r11", "r8", "r9", "r10");
#else
	__asm__ volatile("call *%1" : "=a"(ret) : "r"(code), "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
#endif
	return ret;
}

static void make_code(void)
{
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(code != MAP_FAILED, "mmap");
#ifdef __x86_64__
	memcpy(code, "\x0f\x05", 2);
#else
	memcpy(code, "\xcd\x80", 2);
#endif
	code[2] = 0xc3; /* ret */
}

int overwrite(void)
{
	/* In memory: registers are put back to what they were before a call that was none. */
	static volatile long i, done;
	long calls = option("calls", 3000);
	pthread_t thread;
	meet();
	make_code();
	pthread_create(&thread, NULL, overwrites, NULL);
	for (; i < calls || (done < 5 && i < 500 * calls); i++) {
		done += call_code(SYS_kill, friend.pid, 0, 0) == 0;
		counted(call_code(SYS_kill, victim.pid, RT, 0));
		done += call_code(SYS_tgkill, friend.pid, friend.pid, SIGUSR1) == 0;
		counted(call_code(SYS_tgkill, victim.pid, victim.tid, RT));
	}
	family_stop = 1;
	pthread_join(thread, NULL);
	say("done", done);
	say("attempts", 4 * i);
	say("through", 0); /* the victim shows it: a call that was none returns anything */
	kill(friend.pid, SIGKILL);
	return 0;
}

/* A caller whose instruction becomes a loop while its call is decided. Others go on. */
static void spins(void *arg)
{
	(void)arg;
	for (;;) {
		call_code(SYS_kill, friend.pid, 0, 0);
		++*stage;
	}
}

int spin_away(void)
{
	long worst = 0, calls = option("calls", 50), callers = option("callers", 3), wrong = 0;
	pid_t pids[8];
	meet();
	make_code();
	stage = shared(sizeof(*stage));
	for (long i = 0; i < callers; i++)
		pids[i] = start(spins, NULL);
	while (*stage < 100)
		sched_yield();
	*(volatile uint16_t *)code = 0xfeeb;
	for (long i = 0; i < calls; i++) {
		long long from = now_us();
		wrong += kill(friend.pid, 0) != 0;
		counted(kill(victim.pid, RT) == 0 ? 0 : -errno);
		if (now_us() - from > worst)
			worst = (long)(now_us() - from);
	}
	for (long i = 0; i < callers; i++) {
		kill(pids[i], SIGKILL);
		reap(pids[i]);
	}
	say("worst_us", worst);
	say("wrong", wrong);
	return summary();
}

/* Another thread calls execve while the call is made. */
static char *exec_words[3];

static void *execs(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	for (int spins = rand_r(&seed) % 60000; spins > 0; spins--)
		__asm__ volatile("pause");
	execv("/bin/true", exec_words);
	return NULL;
}

static void calls_until_exec(void *arg)
{
	pthread_t thread;
	pthread_create(&thread, NULL, execs, arg);
	for (;;) {
		kill(friend.pid, 0);
		if (kill(victim.pid, RT) == 0)
			_exit(77);
		send_signal(friend.fd, SIGUSR1, NULL, 0);
	}
}

static void thread_calls_until_exec(void *arg)
{
	/* The leader execs while another calls. */
	pthread_t thread;
	pthread_create(&thread, NULL, (void *(*)(void *))(uintptr_t)calls_until_exec, arg);
	execs(arg);
	_exit(0);
}

int exec_away(void)
{
	long rounds = option("rounds", 60), through = 0, strange = 0;
	exec_words[0] = "true";
	meet();
	for (long i = 0; i < rounds; i++) {
		int status = reap(start(i & 1 ? thread_calls_until_exec : calls_until_exec, (void *)(i + 1)));
		through += WIFEXITED(status) && WEXITSTATUS(status) == 77;
		strange += status != 0;
	}
	say("attempts", rounds);
	say("through", through);
	say("strange", strange);
	kill(friend.pid, SIGKILL);
	return 0;
}

/* kill, in a storm: what returned 0 arrived once, and nothing else is returned. */
static void ticks(int sig, siginfo_t *info, void *context) { (void)sig, (void)info, (void)context; }

static void counts_all(void *arg)
{
	atomic_long *n = arg;
	uint64_t set = 1ULL << (RT - 1) | 1ULL << RT;
	siginfo_t info;
	for (;;) {
		int sig = (int)syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
		if (sig == RT)
			++*n;
		if (sig == RT + 1)
			_exit(0);
	}
}

int storm_kill(void)
{
	long calls = option("calls", 3000), sent = 0, eintr = 0, odd = 0;
	uint64_t none = 0;
	atomic_long *n = shared(sizeof(*n));
	block_all();
	pid_t to = start(counts_all, n);
	raw_handler(SIGALRM, ticks, option("restart", 0) ? SA_RESTART : 0);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	struct itimerval every = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &every, NULL);
	for (long i = 0; i < calls; i++) {
		long ret = kill(to, RT) == 0 ? 0 : -errno;
		sent += ret == 0;
		eintr += ret == -EINTR;
		if (ret != 0 && ret != -EINTR && odd++ == 0)
			say("first_odd", ret);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	while (kill(to, RT + 1) != 0)
		;
	must(reap(to) == 0, "the counter");
	say("attempts", calls);
	say("through", 0); /* the victim shows it */
	say("sent", sent);
	say("eintr", eintr);
	say("odd", odd);
	say("arrived", *n);
	return 0;
}
