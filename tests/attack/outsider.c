/* A number that comes back outside the tree of those who signal it. The program at the
   other end of our command line, `outsider-senders` under the shim, gets the descriptors of
   our children, who are nobody's tracees. Precondition: as in recycle.c. */
#include "attack.h"
#include "recycle.h"
#include <sys/socket.h>

enum { SENDERS = 4, SOCKET = 40, MEMORY = 41 };

struct between {
	atomic_int stop;
	atomic_long begun[SENDERS], done[SENDERS], good[SENDERS]; /* sends */
};
static struct between *between;
static atomic_int stale = -1;

static void share(int fd)
{
	between = mmap(NULL, sizeof(*between), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(between != MAP_FAILED, "mmap");
}

static void *sends(void *arg)
{
	long i = (long)arg;
	siginfo_t info;
	block_all();
	while (!between->stop) {
		between->begun[i]++;
		between->good[i] += send_signal(stale, SIGUSR1, i % 2 ? queued(&info, SIGUSR1, 1) : NULL, 0) == 0;
		between->done[i]++;
	}
	return NULL;
}

/* The inside: sends without pause through the descriptor that came last. */
int outsider_senders(void)
{
	pthread_t threads[SENDERS];
	long n = option("senders", 1);
	share(MEMORY);
	for (long i = -1, fd; (fd = take_fd(SOCKET)) >= 0; ) {
		int old = atomic_exchange(&stale, (int)fd);
		if (old >= 0)
			close(old);
		must(write(SOCKET, "", 1) == 1, "write");
		while (i + 1 < n)
			i++, pthread_create(&threads[i], NULL, sends, (void *)i);
	}
	between->stop = 1;
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void publish(int socket, int fd)
{
	char done;
	give_fd(socket, fd);
	must(read(socket, &done, 1) == 1, "the other end of the socket has gone");
}

/* Every sender has ended the send that it was in. */
static void each_sends_once(long n, atomic_long *count, const char *what)
{
	long before[SENDERS];
	for (long i = 0; i < n; i++)
		before[i] = count == between->done ? between->begun[i] : count[i];
	for (long i = 0; i < n; i++)
		until_past(&count[i], before[i], what);
}

int outsider(void)
{
	long rounds = option("rounds", 300), n = option("senders", 1), hits = 0, sends = 0, good = 0;
	int ends[2], memory = memfd_create("between", 0);
	must(memory >= 0 && ftruncate(memory, sizeof(struct between)) == 0, "memfd");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	share(memory);
	pid_t inside = fork();
	if (inside == 0) {
		dup2(ends[1], SOCKET);
		dup2(memory, MEMORY);
		execvp(after_dashes()[0], after_dashes());
		must(0, "exec");
	}
	close(ends[1]);
	block_all();
	pid_t number = 0;
	unsigned seed = 1;
	for (long round = 0; round < rounds; round++) {
		pid_t victim = child_as(number);
		if (victim == 0)
			pending_forever();
		number = victim;
		int fd = pidfd_open_(victim, 0);
		must(fd >= 0, "pidfd_open");
		publish(ends[0], fd);
		close(fd);
		each_sends_once(n, between->good, "no signal reaches a living target");
		for (long long moment = now_us() + rand_r(&seed) % 200; now_us() < moment;)
			;
		kill(victim, SIGKILL);
		reap(victim);
		pid_t owner = child_as(number);
		if (owner == 0)
			pending_forever();
		each_sends_once(n, between->done, "a send through a stale descriptor does not end");
		hits += pending(owner) != 0;
		kill(owner, SIGKILL);
		reap(owner);
	}
	close(ends[0]);
	must(reap(inside) == 0, "the shim");
	for (long i = 0; i < n; i++)
		sends += between->done[i], good += between->good[i];
	say("rounds", rounds);
	say("sends", sends);
	say("good", good);
	say("hits", hits);
	return 0;
}
