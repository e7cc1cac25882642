/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process heap, and the one file that knows which allocator is below.
 *
 * jemalloc replaces malloc() when it is linked, so the standard names are
 * used for the work and mallctl() where it must give back. Sanitizers bring their
 * own malloc. Arenas are ours, in both: a list of what each has.
 */
#include "base/heap.h"
#include "base/check.h"
#include "base/page.h"
#include "base/resident.h"
#include <errno.h>
#include <pthread.h>
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

#include <fcntl.h>
#include <jemalloc/jemalloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * What a thread keeps of what it freed, by size: as it comes, in up to 32 KiB and
 * 200 of a size, 200 KiB a worker were seen that no one had paid for. Names and
 * their requests are small, and take a few of each.
 */
#if JEMALLOC_VERSION_MAJOR == 5 && JEMALLOC_VERSION_MINOR < 3
#define THREAD_CACHE "lg_tcache_max:10,"
#else
#define THREAD_CACHE "tcache_max:1024,tcache_nslots_small_max:20,"
#endif

/*
 * Read by jemalloc at its start. One arena, 88 KiB each before there is
 * anything in it: no page passes here, and threads have caches. Freed memory
 * goes back after a second, by the threads themselves: no thread of jemalloc's
 * may hold a lock while we serve swap. Address space is kept (retain) so that
 * coming back needs no mmap(); huge pages would make 2 MiB of what is used in
 * 4 KiB.
 */
const char *malloc_conf = "narenas:1,background_thread:false," THREAD_CACHE
			  "dirty_decay_ms:1000,muzzy_decay_ms:0,"
			  "retain:true,thp:never";

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

static void keep_arena(unsigned arena, extent_hooks_t *hooks)
{
	ssize_t never = -1;
	char name[64];

	snprintf(name, sizeof(name), "arena.%u.extent_hooks", arena);
	mallctl(name, NULL, NULL, &hooks, sizeof(hooks));
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
	n = sizeof(arenas);
	mallctl("arenas.narenas", &arenas, &n, NULL, 0);
	for (unsigned i = 0; i < arenas; i++)
		keep_arena(i, &hooks);
	mallctl("arenas.dirty_decay_ms", NULL, NULL, &never, sizeof(never));
}

void heap_purge(void)
{
	char name[64];

	snprintf(name, sizeof(name), "arena.%u.purge", MALLCTL_ARENAS_ALL);
	mallctl(name, NULL, NULL, NULL, 0);
}

/* RssAnon of /proc/self/status. No heap call, for this is the heap; and none of
 * its own figures, for to have them it takes 200 KiB. */
size_t heap_resident_bytes(void)
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

/* What it takes from the kernel for this it does not write to. */
static void *zeroed(size_t align, size_t n)
{
	return mallocx(n, MALLOCX_ALIGN(align) | MALLOCX_ZERO);
}

/* Zeroed. A huge page would be 2 MiB of what is used in 4 KiB. */
static void *piece_map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, n, MADV_NOHUGEPAGE);
	if (resident_fill(p, n) == 0)
		return p;
	munmap(p, n);
	return NULL;
}

static void piece_unmap(void *p, size_t bytes)
{
	munmap(p, bytes);
}

#else
/* --- the sanitizer's malloc --- */

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

static void *zeroed(size_t align, size_t n)
{
	void *p = NULL;

	return posix_memalign(&p, align, n) == 0 ? memset(p, 0, n) : NULL;
}

/* It watches over the end of its own blocks, and of no mapping. */
static void *piece_map(size_t n)
{
	return zeroed(PAGE_BYTES, n);
}

static void piece_unmap(void *p, size_t bytes UNUSED)
{
	free(p);
}
#endif

/* --- arenas --- */

/*
 * What an arena has. Each is a mapping of its own, and goes back whole: the
 * few that there are, three or four for each worker slot, are large, and an
 * arena of jemalloc's is 88 KiB before there is anything in it.
 */
struct piece {
	struct piece *next;
	void *p;
	size_t bytes;
	unsigned arena;
};

static pthread_mutex_t pieces_lock = PTHREAD_MUTEX_INITIALIZER;
static struct piece *pieces;
static _Atomic unsigned arenas_made;
static _Thread_local unsigned entered; /* 0: none; the first arena is 1 */

int heap_arena_new(unsigned *ret_arena)
{
	if (must_fail())
		return -ENOMEM;
	*ret_arena = 1 + atomic_fetch_add_explicit(&arenas_made, 1,
						   memory_order_relaxed);
	return 0;
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

	pthread_mutex_lock(&pieces_lock);
	for (const struct piece *piece = pieces; piece; piece = piece->next)
		if (piece->arena == arena)
			sum += piece->bytes;
	pthread_mutex_unlock(&pieces_lock);
	return sum;
}

size_t heap_arena_absent_bytes(unsigned arena)
{
	size_t sum = 0;

	pthread_mutex_lock(&pieces_lock);
	for (const struct piece *piece = pieces; piece; piece = piece->next)
		if (piece->arena == arena)
			sum += piece->bytes -
			       resident_bytes(piece->p, piece->bytes);
	pthread_mutex_unlock(&pieces_lock);
	return sum;
}

static void *piece_new(size_t n)
{
	struct piece *piece;

	if (n > SIZE_MAX - PAGE_BYTES)
		return NULL;
	piece = malloc(sizeof(*piece));
	if (!piece)
		return NULL;
	piece->arena = entered;
	piece->bytes = (n + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
	piece->p = piece_map(n);
	if (!piece->p) {
		free(piece);
		return NULL;
	}
	pthread_mutex_lock(&pieces_lock);
	piece->next = pieces;
	pieces = piece;
	pthread_mutex_unlock(&pieces_lock);
	return piece->p;
}

/* False: @p is none. All of them begin a page, and hardly anything else does
 * that is freed while requests are served. */
static bool piece_free(void *p)
{
	struct piece *gone = NULL;

	if ((uintptr_t)p % PAGE_BYTES != 0)
		return false;
	pthread_mutex_lock(&pieces_lock);
	for (struct piece **at = &pieces; *at; at = &(*at)->next)
		if ((*at)->p == p) {
			gone = *at;
			*at = gone->next;
			break;
		}
	pthread_mutex_unlock(&pieces_lock);
	if (!gone)
		return false;
	piece_unmap(gone->p, gone->bytes);
	free(gone);
	return true;
}

/* --- allocation --- */

void *heap_alloc(size_t n)
{
	if (must_fail())
		return NULL;
	return entered ? piece_new(n) : malloc(n);
}

void *heap_zalloc(size_t count, size_t size)
{
	size_t n;

	if (must_fail())
		return NULL;
	if (!entered)
		return calloc(count, size);
	return __builtin_mul_overflow(count, size, &n) ? NULL : piece_new(n);
}

void *heap_aligned(size_t align, size_t n)
{
	void *p = NULL;

	if (must_fail())
		return NULL;
	if (entered)
		return align <= PAGE_BYTES ? piece_new(n) : NULL;
	return posix_memalign(&p, align, n) == 0 ? p : NULL;
}

void *heap_zaligned(size_t align, size_t n)
{
	void *p;

	if (must_fail())
		return NULL;
	if (entered)
		return align <= PAGE_BYTES ? piece_new(n) : NULL;
	p = zeroed(align, n);
	return p && resident_is_on() ? memset(p, 0, n) : p;
}

void *heap_resize(void *old, size_t n)
{
	debug_invariant(!entered);
	return must_fail() ? NULL : realloc(old, n);
}

char *heap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = heap_alloc(n);

	return copy ? memcpy(copy, s, n) : NULL;
}

void heap_free(void *p)
{
	if (p && !piece_free(p))
		free(p);
}

void heap_autofree(void *variable)
{
	heap_free(*(void **)variable);
}
