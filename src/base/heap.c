/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process heap, and the one file that knows which allocator is below.
 *
 * jemalloc replaces malloc() when it is linked, so the standard names are
 * used for the work and mallctl() for arenas and figures. Sanitizers bring
 * their own malloc: then arenas are kept by hand, in a list of what each owns.
 */
#include "base/heap.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- faults and counts, the same for both allocators --- */

static _Thread_local uint64_t calls;

/* Allocations until one fails; 0: off, and one relaxed load is all it costs. */
static _Atomic uint64_t fail_in;
static _Atomic bool fault_hit;

static bool must_fail(void)
{
	uint64_t n = atomic_load_explicit(&fail_in, memory_order_relaxed);

	calls++;
	if (likely(n == 0))
		return false;
	/* Of several threads exactly one takes the step from 1 to 0. */
	while (n != 0 && !atomic_compare_exchange_weak_explicit(
				 &fail_in, &n, n - 1, memory_order_relaxed,
				 memory_order_relaxed))
		;
	if (n != 1)
		return false;
	atomic_store_explicit(&fault_hit, true, memory_order_relaxed);
	return true;
}

uint64_t heap_calls(void)
{
	return calls;
}

void heap_fail_nth(uint64_t n)
{
	atomic_store_explicit(&fault_hit, false, memory_order_relaxed);
	atomic_store_explicit(&fail_in, n, memory_order_relaxed);
}

bool heap_fault_hit(void)
{
	return atomic_load_explicit(&fault_hit, memory_order_relaxed);
}

#if !SANITIZED
/* --- jemalloc --- */

#include "base/resident.h"
#include <fcntl.h>
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Read by jemalloc at its start. Few arenas: worker slots bring their own.
 * Freed memory goes back after a second, by the threads themselves: no thread
 * of jemalloc's may hold a lock while we serve swap. Address space is kept
 * (retain) so that coming back needs no mmap(); huge pages would make 2 MiB of
 * what is used in 4 KiB.
 */
const char *malloc_conf = "narenas:2,background_thread:false,"
			  "dirty_decay_ms:1000,muzzy_decay_ms:0,"
			  "retain:true,thp:never";

/* The arena and cache setting the thread had before heap_arena_enter(). */
static _Thread_local struct {
	unsigned arena;
	bool cache;
	bool entered;
} before;

/*
 * Arenas that were given up: emptied as far as possible and handed out again.
 * Never destroyed: someone may still hold memory of theirs (or have it in a
 * thread's cache), and with `retain` each destroyed arena leaves 4 KiB of RAM
 * and 2 MiB of address space behind (84 MB after 20,000 workers).
 */
#define PARKED_MAX 1024
static _Atomic uint32_t parked[PARKED_MAX]; /* index + 1 */

static void owned_add(void *p UNUSED)
{
}

static void owned_remove(void *p UNUSED)
{
}

/* jemalloc's figures are a snapshot of its last epoch. */
static void refresh(void)
{
	uint64_t epoch = 1;

	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
}

static size_t read_size(const char *name)
{
	size_t value = 0, n = sizeof(value);

	return mallctl(name, &value, &n, NULL, 0) == 0 ? value : 0;
}

static size_t read_arena_size(unsigned arena, const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "stats.arenas.%u.%s", arena, what);
	return read_size(name);
}

static int command_arena(unsigned arena, const char *verb)
{
	char name[64];

	snprintf(name, sizeof(name), "arena.%u.%s", arena, verb);
	return mallctl(name, NULL, NULL, NULL, 0);
}

/* jemalloc's own asks for MADV_DONTNEED, which locked memory refuses. */
static bool drop_locked(extent_hooks_t *hooks UNUSED, void *base,
			size_t size UNUSED, size_t offset, size_t length,
			unsigned arena UNUSED)
{
	return !resident_drop((char *)base + offset, length);
}

/*
 * With `retain` jemalloc asks only for what may be merged. Its own hook looks
 * for the thread's state first, and makes it where there is none yet, as in a
 * thread that frees before all else: that allocates, under the lock that whoever
 * merges holds.
 */
static bool merge(extent_hooks_t *hooks UNUSED, void *a UNUSED,
		  size_t a_size UNUSED, void *b UNUSED, size_t b_size UNUSED,
		  bool committed UNUSED, unsigned arena UNUSED)
{
	return false;
}

/* Its own for all else; NULL until heap_keep(). */
static extent_hooks_t *hooks_now;

static void keep_arena(unsigned arena)
{
	ssize_t never = -1;
	char name[64];

	snprintf(name, sizeof(name), "arena.%u.extent_hooks", arena);
	mallctl(name, NULL, NULL, &hooks_now, sizeof(hooks_now));
	snprintf(name, sizeof(name), "arena.%u.dirty_decay_ms", arena);
	mallctl(name, NULL, NULL, &never, sizeof(never));
}

void heap_keep(void)
{
	static extent_hooks_t hooks;
	extent_hooks_t *own = NULL;
	unsigned arenas = 0;
	size_t n = sizeof(own);
	ssize_t never = -1;

	if (mallctl("arena.0.extent_hooks", &own, &n, NULL, 0) != 0)
		return;
	hooks = *own;
	hooks.purge_forced = drop_locked;
	hooks.merge = merge;
	hooks_now = &hooks;
	n = sizeof(arenas);
	mallctl("arenas.narenas", &arenas, &n, NULL, 0);
	for (unsigned i = 0; i < arenas; i++)
		keep_arena(i);
	mallctl("arenas.dirty_decay_ms", NULL, NULL, &never, sizeof(never));
}

void heap_purge(void)
{
	command_arena(MALLCTL_ARENAS_ALL, "purge");
}

/* RssAnon of /proc/self/status; no heap call, for this is the heap. 0: none. */
static size_t kernel_anon_bytes(void)
{
	static const char key[] = "\nRssAnon:";
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[4096];
	const char *at;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, key);
	return at ? strtoul(at + sizeof(key) - 1, NULL, 10) << 10 : 0;
}

/* Active pages count whole, also those at a large block's end that nobody
 * ever touched; the kernel's figure also has what is none of the heap's. */
size_t heap_resident_bytes(void)
{
	size_t active, anon = kernel_anon_bytes();

	refresh();
	active = read_size("stats.active");
	return anon && anon < active ? anon : active;
}

/* What a thread has in its cache counts as allocated: ours goes first. */
size_t heap_arena_bytes(unsigned arena)
{
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	refresh();
	return read_arena_size(arena, "small.allocated") +
	       read_arena_size(arena, "large.allocated");
}

static bool unpark(unsigned *ret_arena)
{
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		uint32_t word = atomic_exchange_explicit(&parked[i], 0,
							 memory_order_relaxed);

		if (word != 0) {
			*ret_arena = word - 1;
			return true;
		}
	}
	return false;
}

static void park(unsigned arena)
{
	command_arena(arena, "purge");
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		uint32_t none = 0;

		if (atomic_compare_exchange_strong_explicit(
			    &parked[i], &none, arena + 1, memory_order_relaxed,
			    memory_order_relaxed))
			return;
	}
}

int heap_arena_new(unsigned *ret_arena)
{
	unsigned arena;
	size_t n = sizeof(arena);

	if (must_fail())
		return -ENOMEM;
	if (!unpark(&arena) &&
	    mallctl("arenas.create", &arena, &n, hooks_now ? &hooks_now : NULL,
		    hooks_now ? sizeof(hooks_now) : 0))
		return -ENOMEM;
	*ret_arena = arena;
	return 0;
}

void heap_arena_free(unsigned arena)
{
	park(arena);
}

/* Without the cache, or memory would come from another arena by way of it. */
void heap_arena_enter(unsigned arena)
{
	bool off = false;
	size_t n = sizeof(before.cache);

	if (before.entered)
		heap_arena_leave();
	mallctl("thread.tcache.enabled", &before.cache, &n, &off, sizeof(off));
	n = sizeof(before.arena);
	mallctl("thread.arena", &before.arena, &n, &arena, sizeof(arena));
	before.entered = true;
}

void heap_arena_leave(void)
{
	if (!before.entered)
		return;
	mallctl("thread.arena", NULL, NULL, &before.arena,
		sizeof(before.arena));
	mallctl("thread.tcache.enabled", NULL, NULL, &before.cache,
		sizeof(before.cache));
	before.entered = false;
}

#else
/* --- the sanitizer's malloc --- */

#include <malloc.h>
#include <pthread.h>

/*
 * Read by the sanitizers at their start. ENOMEM is ordinary here, also for
 * them: a size that cannot be had gives NULL and not the end of the process.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* What a piece of arena memory is: found by its address when it is freed. */
struct owned {
	struct owned *next;
	void *p;
	size_t bytes;
	unsigned arena;
};

static pthread_mutex_t owned_lock = PTHREAD_MUTEX_INITIALIZER;
static struct owned *owned_list;
static unsigned arenas_made;
static _Thread_local unsigned entered; /* 0: none; indexes start at 1 */

static void owned_add(void *p)
{
	struct owned *o;

	if (entered == 0 || !p)
		return;
	o = malloc(sizeof(*o));
	if (!o)
		return;
	o->p = p;
	o->bytes = malloc_usable_size(p);
	o->arena = entered;
	pthread_mutex_lock(&owned_lock);
	o->next = owned_list;
	owned_list = o;
	pthread_mutex_unlock(&owned_lock);
}

static void owned_remove(void *p)
{
	struct owned *gone = NULL;

	pthread_mutex_lock(&owned_lock);
	for (struct owned **at = &owned_list; *at; at = &(*at)->next)
		if ((*at)->p == p) {
			gone = *at;
			*at = gone->next;
			break;
		}
	pthread_mutex_unlock(&owned_lock);
	free(gone);
}

size_t heap_resident_bytes(void)
{
	return 0;
}

void heap_purge(void)
{
}

void heap_keep(void)
{
}

int heap_arena_new(unsigned *ret_arena)
{
	if (must_fail())
		return -ENOMEM;
	pthread_mutex_lock(&owned_lock);
	*ret_arena = ++arenas_made;
	pthread_mutex_unlock(&owned_lock);
	return 0;
}

void heap_arena_free(unsigned arena UNUSED)
{
}

void heap_arena_enter(unsigned arena)
{
	entered = arena;
}

void heap_arena_leave(void)
{
	entered = 0;
}

size_t heap_arena_bytes(unsigned arena)
{
	size_t sum = 0;

	pthread_mutex_lock(&owned_lock);
	for (struct owned *o = owned_list; o; o = o->next)
		if (o->arena == arena)
			sum += o->bytes;
	pthread_mutex_unlock(&owned_lock);
	return sum;
}
#endif

/* --- allocation --- */

void *heap_alloc(size_t n)
{
	void *p = must_fail() ? NULL : malloc(n);

	owned_add(p);
	return p;
}

void *heap_zalloc(size_t count, size_t size)
{
	void *p = must_fail() ? NULL : calloc(count, size);

	owned_add(p);
	return p;
}

void *heap_aligned(size_t align, size_t n)
{
	void *p = NULL;

	if (must_fail() || posix_memalign(&p, align, n) != 0)
		return NULL;
	owned_add(p);
	return p;
}

void *heap_resize(void *old, size_t n)
{
	void *p;

	if (must_fail())
		return NULL;
	/* Off the list first: once realloc() is done another may have @old. */
	owned_remove(old);
	p = realloc(old, n);
	owned_add(p ? p : old);
	return p;
}

char *heap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = heap_alloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}

void heap_free(void *p)
{
	if (!p)
		return;
	owned_remove(p);
	free(p);
}

void heap_autofree(void *variable)
{
	heap_free(*(void **)variable);
}
