/* The common row: one caller, one target, one call. */
#include "truth.h"

/* Descriptors that are negative by intent are not a failed set-up. */
static int bare_number(const char *name)
{
	return name[0] == '-' || !strncmp(name, "INT_", 4) || !strncmp(name, "SELF_", 5);
}

static void play_self(const struct play *p)
{
	struct scene none = {0};
	int fd = p->fd->make(&none);
	if (!bare_number(p->fd->name))
		must(fd, p->fd->name);
	const void *info = info_at(p->info, p->sig, p->entry);
	keep_chld = 1;
	if (p->caller)
		set_cred(p->caller);
	send_row(p->entry, fd, p->sig, info, p->flags);
	recv_collect(p->recv, CALLER);
}

void play(const struct play *p)
{
	recv_prepare(p->recv);
	if (p->fd->self) {
		play_self(p);
		return;
	}
	struct scene sc = {
		.recv = p->recv, .state = p->state, .sig = p->sig, .session = p->session, .cred = p->target,
		.threads = p->threads || p->fd->threads, .clone_pidfd = !strcmp(p->fd->name, "clone-pidfd"),
	};
	target_start(&sc);
	int fd = p->fd->make(&sc);
	if (!bare_number(p->fd->name))
		must(fd, p->fd->name);
	target_settle(&sc);
	const void *info = info_at(p->info, p->sig, p->entry);
	if (p->caller)
		set_cred(p->caller);
	if (p->prepare)
		p->prepare();
	send_row(p->entry, fd, p->sig, info, p->flags);
	recv_collect(p->recv, CALLER);
	target_end(&sc);
}
