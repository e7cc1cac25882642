/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The span backend: the pool's operations over shards of spans.
 *
 * Reading and writing take no lock; alloc takes its shard's lock once a batch
 * and free once a shard a batch. Objects' headers are touched outside of the
 * locks, because that may fault a page in.
 */
#include "pool/span.h"
#include "base/check.h"
#include "base/heap.h"
#include "pool/span_priv.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct span_pool *span_pool_of(struct pool *pool)
{
	return (struct span_pool *)pool;
}

/* --- alloc --- */

enum slow_step { SLOW_READY, SLOW_COLD };

/* Classes [first, end) of all shards, beginning with @own. */
static bool take_anywhere(struct span_pool *sp, unsigned own,
			  enum slow_step step, unsigned end, uint32_t n_bytes,
			  struct taken *ret)
{
	unsigned first = class_of(n_bytes);
	bool ok = false;

	for (unsigned i = 0; i < sp->shards_nr && !ok; i++) {
		struct shard *sh = &sp->shards[(own + i) % sp->shards_nr];

		lock_take(&sh->lock);
		if (step == SLOW_READY)
			ok = shard_take_ready(sp, sh, first, end, n_bytes, ret);
		else
			ok = shard_take_cold(sp, sh, first, end, n_bytes, ret);
		lock_drop(&sh->lock);
	}
	return ok;
}

static bool reclaim_and_take(struct span_pool *sp, unsigned own,
			     uint64_t min_freed_bytes, uint32_t n_bytes,
			     struct taken *ret)
{
	struct shard *sh = &sp->shards[own];
	int r;

	if (reclaim(sp, min_freed_bytes) == 0)
		return false;
	lock_take(&sh->lock);
	r = shard_take(sp, sh, n_bytes, ret);
	lock_drop(&sh->lock);
	return r == 0;
}

/*
 * The budget or the pool's range is full. Memory that is held already serves
 * before anything is refused: nearly fitting slots, then what a look for free
 * pages brings, then any slot that is large enough.
 */
static int take_slow(struct span_pool *sp, unsigned own, uint32_t n_bytes,
		     struct taken *ret)
{
	unsigned near = class_of(n_bytes) + NEAR_CLASSES;

	if (near > CLASS_NR)
		near = CLASS_NR;
	if (take_anywhere(sp, own, SLOW_READY, near, n_bytes, ret) ||
	    reclaim_and_take(sp, own, SPAN_BYTES / 4, n_bytes, ret) ||
	    take_anywhere(sp, own, SLOW_READY, CLASS_NR, n_bytes, ret) ||
	    take_anywhere(sp, own, SLOW_COLD, CLASS_NR, n_bytes, ret) ||
	    reclaim_and_take(sp, own, PAGE_BYTES, n_bytes, ret))
		return 0;
	return -ENOSPC;
}

static void write_headers(struct span_pool *sp, const struct taken *taken,
			  const uint32_t *n_bytes, unsigned n,
			  struct handle *ret)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t offset = taken[i].offset_bytes;

		atomic_store_explicit(header_at(sp, offset),
				      header_make(offset, n_bytes[i], 0),
				      memory_order_relaxed);
		ret[i] = handle_make(offset);
	}
}

static void span_free(struct pool *pool, const struct handle *h, unsigned n);

static int span_alloc(struct pool *pool, unsigned shard,
		      const uint32_t *n_bytes, unsigned n, struct handle *ret)
{
	struct span_pool *sp = span_pool_of(pool);
	unsigned own =
		shard % atomic_load_explicit(&sp->active, memory_order_relaxed);
	struct shard *sh = &sp->shards[own];
	struct taken taken[POOL_BATCH_MAX];
	struct handle undo[POOL_BATCH_MAX];
	unsigned done = 0;

	invariant(n > 0 && n <= POOL_BATCH_MAX);
	for (unsigned i = 0; i < n; i++)
		invariant(n_bytes[i] > 0 && n_bytes[i] <= POOL_OBJECT_MAX);
	lock_take(&sh->lock);
	while (done < n && !shard_take(sp, sh, n_bytes[done], &taken[done]))
		done++;
	lock_drop(&sh->lock);
	while (done < n && !take_slow(sp, own, n_bytes[done], &taken[done]))
		done++;
	if (done == n) {
		write_headers(sp, taken, n_bytes, n, ret);
		return 0;
	}
	if (done > 0) {
		write_headers(sp, taken, n_bytes, done, undo);
		span_free(pool, undo, done);
	}
	return -ENOSPC;
}

/* --- free --- */

struct given {
	uint32_t span;
	uint16_t slot;
	uint16_t n_bytes;
	uint8_t shard;
};

/* Spans that need the caller once the shard's lock is dropped. */
struct afterwork {
	uint32_t empty[POOL_BATCH_MAX];
	uint32_t trim[POOL_BATCH_MAX];
	uint64_t trim_pages[POOL_BATCH_MAX];
	unsigned empties, trims;
};

/*
 * Read the length, clear the header: from now on the handle is EIO. A header
 * that was overwritten by something else does not keep the slot from being
 * freed: the largest object that fits is assumed.
 */
static struct given take_back(struct span_pool *sp, struct handle h)
{
	struct place at = {0};
	_Atomic uint64_t *header;
	uint64_t old;
	int r = place_of(sp, h, &at);

	invariant(r == 0);
	header = header_at(sp, at.offset_bytes);
	old = atomic_load_explicit(header, memory_order_relaxed);
	atomic_store_explicit(header, 0, memory_order_relaxed);
	return (struct given){
		.span = at.span,
		.slot = (uint16_t)at.slot,
		.n_bytes = (uint16_t)(header_is_valid(old, at.offset_bytes,
						      at.slot_bytes)
					      ? header_length(old)
					      : at.slot_bytes - HEADER_BYTES),
		.shard = (uint8_t)span_shard(span_at(sp, at.span)),
	};
}

static void give_to_shard(struct span_pool *sp, unsigned s,
			  const struct given *given, unsigned n)
{
	struct shard *sh = &sp->shards[s];
	struct afterwork after;

	after.empties = 0;
	after.trims = 0;
	lock_take(&sh->lock);
	for (unsigned i = 0; i < n; i++) {
		uint32_t ix = given[i].span;

		if (given[i].shard != s)
			continue;
		switch (shard_give(sp, sh, ix, given[i].slot,
				   given[i].n_bytes)) {
		case AFTER_PUT:
			after.empty[after.empties++] = ix;
			break;
		case AFTER_TRIM:
			after.trim[after.trims] = ix;
			after.trim_pages[after.trims] = trim_start(sp, sh, ix);
			after.trims += after.trim_pages[after.trims] != 0;
			break;
		case AFTER_NOTHING:
			break;
		}
	}
	lock_drop(&sh->lock);
	for (unsigned i = 0; i < after.trims; i++)
		trim_finish(sp, sh, after.trim[i], after.trim_pages[i]);
	if (after.empties)
		space_put(sp, after.empty, after.empties);
}

static void span_free(struct pool *pool, const struct handle *h, unsigned n)
{
	struct span_pool *sp = span_pool_of(pool);
	struct given given[POOL_BATCH_MAX];
	unsigned shards = 0;

	invariant(n > 0 && n <= POOL_BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		given[i] = take_back(sp, h[i]);
		invariant(given[i].shard < sp->shards_nr);
		shards |= 1u << given[i].shard;
	}
	for (unsigned s = 0; s < sp->shards_nr; s++)
		if (shards >> s & 1)
			give_to_shard(sp, s, given, n);
}

/* --- write and read: no lock --- */

static void span_write(struct pool *pool, struct handle h, uint16_t tag,
		       const void *src, size_t n_bytes)
{
	struct span_pool *sp = span_pool_of(pool);
	struct place at = {0};
	_Atomic uint64_t *header;
	int r = place_of(sp, h, &at);

	invariant(r == 0);
	header = header_at(sp, at.offset_bytes);
	invariant(header_length(atomic_load_explicit(
			  header, memory_order_relaxed)) == n_bytes);
	memcpy(sp->memory + at.offset_bytes + HEADER_BYTES, src, n_bytes);
	atomic_store_explicit(
		header, header_make(at.offset_bytes, (uint32_t)n_bytes, tag),
		memory_order_relaxed);
}

static int span_read_begin(struct pool *pool, struct handle h,
			   void *scratch UNUSED, struct pool_view *ret_view)
{
	struct span_pool *sp = span_pool_of(pool);
	struct place at;
	uint64_t header;

	if (place_of(sp, h, &at) < 0)
		return -EIO;
	header = atomic_load_explicit(header_at(sp, at.offset_bytes),
				      memory_order_relaxed);
	if (!header_is_valid(header, at.offset_bytes, at.slot_bytes))
		return -EIO;
	*ret_view = (struct pool_view){
		.piece = {sp->memory + at.offset_bytes + HEADER_BYTES},
		.bytes = {header_length(header)},
		.tag = header_tag(header),
	};
	return 0;
}

static void span_read_end(struct pool *pool UNUSED, struct handle h UNUSED,
			  struct pool_view *view)
{
	*view = (struct pool_view){0};
}

/* Nobody's lock is held, so this must not read: the span may just go. */
static void span_expect(struct pool *pool, struct handle h)
{
	const struct span_pool *sp = span_pool_of(pool);
	uint64_t offset;

	if (handle_offset(h, sp->pool_bytes, &offset) == 0)
		__builtin_prefetch(sp->memory + offset);
}

static void span_stats(struct pool *pool, struct pool_stats *ret_stats)
{
	struct span_pool *sp = span_pool_of(pool);
	struct pool_stats sum = {0};

	for (unsigned s = 0; s < sp->shards_nr; s++) {
		struct shard *sh = &sp->shards[s];

		lock_take(&sh->lock);
		sum.objects += sh->stats.objects;
		sum.object_bytes += sh->stats.object_bytes;
		sum.slot_bytes += sh->stats.slot_bytes;
		sum.spans += sh->stats.spans;
		sum.moved += sh->stats.moved;
		sum.held_bytes +=
			PAGE_BYTES * atomic_load_explicit(&sh->held_pages,
							  memory_order_relaxed);
		lock_drop(&sh->lock);
	}
	*ret_stats = sum;
}

/* --- coming and going --- */

static size_t shards_bytes(const struct span_pool *sp)
{
	return sp->shards_nr * sizeof(struct shard);
}

static void span_destroy(struct pool *pool)
{
	struct span_pool *sp = span_pool_of(pool);
	struct pool_stats stats;

	span_stats(pool, &stats);
	budget_give(sp->budget, stats.held_bytes +
					stats.spans * SPAN_KERNEL_BYTES +
					sp->scan_bytes);
	for (unsigned s = 0; s < sp->shards_nr; s++)
		shard_fini(&sp->shards[s]);
	lock_fini(&sp->spans_lock);
	sparse_fini(&sp->in_use);
	sparse_fini(&sp->records);
	budget_give(sp->budget, shards_bytes(sp));
	heap_free(sp->shards);
	heap_free(sp);
}

static const struct pool_ops span_ops = {
	.name = "span",
	.caps = POOL_SLEEP_MAPPED | POOL_LINEAR | POOL_STAYS,
	.alloc = span_alloc,
	.free = span_free,
	.write = span_write,
	.read_begin = span_read_begin,
	.read_end = span_read_end,
	.expect = span_expect,
	.stats = span_stats,
	.scan_begin = rebuild_begin,
	.mark = rebuild_mark,
	.scan_end = rebuild_end,
	.should_move = compact_should_move,
	.compact_begin = compact_begin,
	.compact_end = compact_end,
	.check = span_check,
	.fingerprint = span_fingerprint,
	.destroy = span_destroy,
};

static unsigned choose_shards(unsigned wanted)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (wanted == 0)
		wanted = cpus > 0 ? (unsigned)cpus : 1;
	return wanted < SHARDS_MAX ? wanted : SHARDS_MAX;
}

/* Memory of the private state; on failure span_pool_new_sharded() undoes. */
static int reserve(struct span_pool *sp)
{
	int r = sparse_init(&sp->records,
			    (size_t)sp->spans_nr * sizeof(struct span),
			    sp->budget);

	if (!r)
		r = sparse_init(&sp->in_use, (sp->spans_nr / 64 + 1) * 8ul,
				sp->budget);
	if (!r)
		r = budget_take(sp->budget, shards_bytes(sp), BUDGET_NORMAL);
	if (r)
		return r;
	sp->shards = heap_aligned(_Alignof(struct shard), shards_bytes(sp));
	if (!sp->shards) {
		budget_give(sp->budget, shards_bytes(sp));
		return -ENOMEM;
	}
	return 0;
}

int span_pool_new_sharded(struct arena *arena, unsigned shards,
			  struct pool **ret_pool)
{
	struct span_pool *sp = heap_zalloc(1, sizeof(*sp));
	int r;

	if (!sp)
		return -ENOMEM;
	sp->pool.ops = &span_ops;
	sp->arena = arena;
	sp->budget = arena_budget(arena);
	sp->memory = arena_pool(arena);
	sp->words = arena_span_words(arena);
	sp->pool_bytes = arena_pool_bytes(arena) / SPAN_BYTES * SPAN_BYTES;
	if (sp->pool_bytes > HANDLE_POOL_MAX_BYTES)
		sp->pool_bytes = HANDLE_POOL_MAX_BYTES;
	sp->spans_nr = (uint32_t)(sp->pool_bytes / SPAN_BYTES);
	sp->shards_nr = choose_shards(shards);
	sp->shards_fixed = shards != 0;
	atomic_init(&sp->active, shards ? sp->shards_nr : 1);
	r = reserve(sp);
	if (r) {
		sparse_fini(&sp->in_use);
		sparse_fini(&sp->records);
		heap_free(sp);
		return r;
	}
	atomic_init(&sp->end, 0);
	lock_init(&sp->spans_lock, LOCK_SPANS);
	for (unsigned s = 0; s < sp->shards_nr; s++)
		shard_init(&sp->shards[s]);
	*ret_pool = &sp->pool;
	return 0;
}

int span_pool_new(struct arena *arena, struct pool **ret_pool)
{
	return span_pool_new_sharded(arena, 0, ret_pool);
}
