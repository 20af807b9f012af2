/* What attacks with a number that comes back have in common: recycle.c. */
#ifndef RECYCLE_H
#define RECYCLE_H

#include "attack.h"

pid_t child_as(pid_t number);     /* a child with that number; 0: with any. Returns as fork */
void pending_forever(void);       /* what such a child does */
uint64_t pending(pid_t pid);      /* signals that it has got */
void until_past(atomic_long *count, long value, const char *what);

#endif
