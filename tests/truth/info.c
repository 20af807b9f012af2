/* siginfo as a caller may hand it over: good, odd and unreadable. */
#include "truth.h"

const struct info NULLINFO = {"NULL", NOWHERE, 0, 0, 0, 0, 0, 0};
const struct info QUEUE = {"SI_QUEUE", PAGE, -1, 0, 0, 0, 0, 0};

#define CODE(name, code) {name, PAGE, code, 0, 0, 0, 0, 0}
const struct info codes[] = {
	CODE("SI_QUEUE", -1), CODE("SI_USER", 0), CODE("SI_TIMER", -2), CODE("SI_MESGQ", -3),
	CODE("SI_ASYNCIO", -4), CODE("SI_SIGIO", -5), CODE("SI_TKILL", -6), CODE("SI_DETHREAD", -7),
	CODE("-8", -8), CODE("-59", -59), CODE("SI_ASYNCNL", -60), CODE("-61", -61), CODE("-1000", -1000),
	CODE("INT_MIN", (int)0x80000000), CODE("INT_MAX", 0x7fffffff),
	CODE("1", 1), CODE("2", 2), CODE("3", 3), CODE("4", 4), CODE("5", 5), CODE("6", 6), CODE("7", 7),
	CODE("0x7f", 0x7f), CODE("SI_KERNEL", 0x80), CODE("0x81", 0x81), CODE("0x1000", 0x1000),
};
const int ncodes = NELEM(codes);

const struct info places[] = {
	{"address1", ADDRESS_1, -1, 0, 0, 0, 0, 0},
	{"unmapped", UNMAPPED, -1, 0, 0, 0, 0, 0},
	{"protnone", PROTNONE, -1, 0, 0, 0, 0, 0},
	{"kernel", KERNEL, -1, 0, 0, 0, 0, 0},
	{"readonly", READONLY, -1, 0, 0, 0, 0, 0},
	{"tail47", TAIL47, -1, 0, 0, 0, 0, 0},
	{"tail48", TAIL48, -1, 0, 0, 0, 0, 0},
	{"tail48+code-8", TAIL48, -8, 0, 0, 0, 0, 0},
	{"tail48+mismatch", TAIL48, -1, 1, 0, 0, 0, 0},
	{"tail128", TAIL128, -1, 0, 0, 0, 0, 0},
	{"tail128+code-8", TAIL128, -8, 0, 0, 0, 0, 0},
	{"byte47", PAGE, -1, 0, 47, 0, 0, 0},
	{"byte48", PAGE, -1, 0, 48, 0, 0, 0},
	{"byte127", PAGE, -1, 0, 127, 0, 0, 0},
	{"byte47+code-8", PAGE, -8, 0, 47, 0, 0, 0},
	{"byte48+code-8", PAGE, -8, 0, 48, 0, 0, 0},
	{"byte127+code-8", PAGE, -8, 0, 127, 0, 0, 0},
	{"byte127+code-60", PAGE, -60, 0, 127, 0, 0, 0},
	{"byte127+code-7", PAGE, -7, 0, 127, 0, 0, 0},
	{"byte127+code0x1000", PAGE, 0x1000, 0, 127, 0, 0, 0},
	{"mismatch", PAGE, -1, 1, 0, 0, 0, 0},
	{"mismatch-1", PAGE, -1, -1, 0, 0, 0, 0},
	{"mismatch+SI_USER", PAGE, 0, 1, 0, 0, 0, 0},
	{"mismatch+byte48+code-8", PAGE, -8, 1, 48, 0, 0, 0},
	{"mismatch+SI_TKILL", PAGE, -6, 1, 0, 0, 0, 0},
	{"writeonly", WRITEONLY, -1, 0, 0, 0, 0, 0},
	{"execonly", EXECONLY, -1, 0, 0, 0, 0, 0},
	{"across-writeonly", ACROSS_WRITEONLY, -1, 0, 0, 0, 0, 0},
	{"across-writeonly+code-8", ACROSS_WRITEONLY, -8, 0, 0, 0, 0, 0},
	{"across-writeonly+byte127+code-8", ACROSS_WRITEONLY, -8, 0, 127, 0, 0, 0},
	{"across-protnone", ACROSS_PROTNONE, -1, 0, 0, 0, 0, 0},
	{"across-protnone+code-8", ACROSS_PROTNONE, -8, 0, 0, 0, 0, 0},
};
const int nplaces = NELEM(places);

/* Where: the siginfo's first byte. Below 4 GiB, so that each entry can name it. */
static unsigned char *place_at(enum place p)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef __x86_64__
	flags |= MAP_32BIT;
#endif
	unsigned char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (page == MAP_FAILED)
		must(-1, "mmap");
	if (p == ACROSS_WRITEONLY || p == ACROSS_PROTNONE)
		return page + 4096 - 48;
	munmap(page + 4096, 4096);
	switch (p) {
	case TAIL47: return page + 4096 - 47;
	case TAIL48: return page + 4096 - 48;
	case TAIL128: return page + 4096 - 128;
	default: return page + 256;
	}
}

static void put32(unsigned char *at, int room, int off, int value)
{
	for (int i = 0; i < 4 && off + i < room; i++)
		at[off + i] = (unsigned char)((unsigned)value >> (8 * i));
}

static int layout32(enum entry how)
{
	return sizeof(long) == 4 || how == COMPAT || how == X32;
}

/* Bytes 12..47 are a pattern with high bits set: a sign that is extended, or a
 * field that is dropped, shows. */
static void fill(unsigned char *at, int room, const struct info *i, int sig, enum entry how)
{
	int pid = layout32(how) ? 12 : 16;
	for (int off = 12; off < 48 && off < room; off++)
		at[off] = (unsigned char)(0xc0 + off);
	put32(at, room, 0, sig + i->signo);
	put32(at, room, 4, 77);
	put32(at, room, 8, i->code);
	if (i->given) {
		put32(at, room, pid, i->pid);
		put32(at, room, pid + 4, i->uid);
	}
	if (i->poke)
		at[i->poke] = 1;
}

const void *info_at(const struct info *i, int sig, enum entry how)
{
	unsigned char *at;
	switch (i->place) {
	case NOWHERE:
		return NULL;
	case ADDRESS_1:
		return (void *)1;
	case KERNEL:
		return (void *)(sizeof(long) == 4 || how == COMPAT ? 0xfffff000UL : ~0UL << (8 * sizeof(long) - 17));
	default:
		at = place_at(i->place);
	}
	int room = i->place == TAIL47 ? 47 : i->place == TAIL48 ? 48 : 128;
	fill(at, room, i, sig, how);
	unsigned char *page = (unsigned char *)((unsigned long)at & ~4095UL);
	if (i->place == UNMAPPED)
		munmap(page, 4096);
	if (i->place == PROTNONE)
		mprotect(page, 4096, PROT_NONE);
	if (i->place == READONLY)
		mprotect(page, 4096, PROT_READ);
	if (i->place == WRITEONLY)
		mprotect(page, 4096, PROT_WRITE);
	if (i->place == EXECONLY)
		mprotect(page, 4096, PROT_EXEC);
	if (i->place == ACROSS_WRITEONLY)
		mprotect(page + 4096, 4096, PROT_WRITE);
	if (i->place == ACROSS_PROTNONE)
		mprotect(page + 4096, 4096, PROT_NONE);
	return at;
}

/* Changes si_value of what info_at made. */
void info_value(const void *at, enum entry how, int value)
{
	int off = layout32(how) ? 20 : 24;
	put32((unsigned char *)at, 128, off, value);
	if (!layout32(how))
		put32((unsigned char *)at, 128, off + 4, 0);
}
