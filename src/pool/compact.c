/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which spans to empty, so that their objects lie densely elsewhere.
 *
 * The pool only chooses and stops allocating there; the objects' owner moves
 * them, because only it can swap references. A span goes back by itself when
 * its last object is freed.
 */
#include "base/check.h"
#include "pool/span_priv.h"
#include <string.h>

/* Not worth a copy: less than this many pages won from a span. */
#define GAIN_PAGES_MIN 2u
/* Free bytes in held memory, as a share of it, that compaction lives with. */
#define SLACK_SHARE 64u
/* Room in the budget that stays for writers while objects are copied. */
#define ROOM_LEFT_BYTES MIB

static struct span_pool *span_pool_of(struct pool *pool)
{
	return (struct span_pool *)pool;
}

/* What one choice knows: free slots on paid pages that objects could move to,
 * by class; how many bytes must be charged for the others. */
struct choice {
	uint64_t free_slots[CLASS_NR];
	uint64_t need_bytes;
	uint64_t room_bytes;
	unsigned left;
	unsigned density_max; /* sixteenths of the ready bytes in use */
};

static unsigned span_class(const struct span *span)
{
	return (span->slot_bytes - CLASS_MIN_BYTES) / CLASS_STEP_BYTES;
}

/* Call @fn for each span that belongs to a shard, under its lock. */
static void for_each_span(struct span_pool *sp,
			  void (*fn)(struct span_pool *sp, struct shard *sh,
				     uint32_t ix, struct choice *choice),
			  struct choice *choice)
{
	uint32_t end = span_end(sp);

	for (uint32_t ix = 0; ix < end; ix++) {
		unsigned s = span_shard(span_at(sp, ix));
		struct shard *sh;

		if (s >= sp->shards_nr)
			continue;
		sh = &sp->shards[s];
		lock_take(&sh->lock);
		if (span_shard(span_at(sp, ix)) == s)
			fn(sp, sh, ix, choice);
		lock_drop(&sh->lock);
	}
}

static void count_free(struct span_pool *sp, struct shard *sh UNUSED,
		       uint32_t ix, struct choice *choice)
{
	const struct span *span = span_at(sp, ix);

	choice->free_slots[span_class(span)] += span->ready_free;
}

/* Would emptying it win memory worth the copies? */
static bool is_sparse(const struct span *span, unsigned density_max)
{
	uint64_t ready = (uint64_t)pages_count(span->ready) * PAGE_BYTES;
	uint64_t used = (uint64_t)span->used * span->slot_bytes;

	return span->used > 0 && !span->busy &&
	       used + (uint64_t)GAIN_PAGES_MIN * PAGE_BYTES <= ready &&
	       used * 16 <= ready * density_max;
}

/* Is there a place for its objects: paid slots elsewhere, or room? */
static bool reserve_target(const struct span *span, struct choice *choice)
{
	uint64_t *free_slots = &choice->free_slots[span_class(span)];
	uint64_t elsewhere = *free_slots > span->ready_free
				     ? *free_slots - span->ready_free
				     : 0;
	uint64_t bytes = (uint64_t)span->used * span->slot_bytes;

	if (elsewhere >= span->used) {
		*free_slots = elsewhere - span->used;
		return true;
	}
	if (choice->need_bytes + bytes + ROOM_LEFT_BYTES > choice->room_bytes)
		return false;
	choice->need_bytes += bytes;
	*free_slots = elsewhere;
	return true;
}

static void choose(struct span_pool *sp, struct shard *sh, uint32_t ix,
		   struct choice *choice) REQUIRES(&sh->lock)
{
	struct span *span = span_at(sp, ix);

	if (choice->left == 0 ||
	    atomic_load_explicit(&span->victim, memory_order_relaxed) ||
	    !is_sparse(span, choice->density_max) ||
	    !reserve_target(span, choice))
		return;
	atomic_store_explicit(&span->victim, true, memory_order_relaxed);
	shard_relist(sp, sh, ix);
	choice->left--;
}

static void unchoose(struct span_pool *sp, struct shard *sh, uint32_t ix,
		     struct choice *choice UNUSED) REQUIRES(&sh->lock)
{
	atomic_store_explicit(&span_at(sp, ix)->victim, false,
			      memory_order_relaxed);
	shard_relist(sp, sh, ix);
}

unsigned compact_begin(struct pool *pool, unsigned max_spans)
{
	/* Sparsest first: each pass takes what is at most so full. */
	static const unsigned densities[] = {4, 8, 10, 12, 14, 15};
	struct span_pool *sp = span_pool_of(pool);
	struct choice choice = {.left = max_spans};
	struct pool_stats stats;

	compact_end(pool);
	reclaim_all(sp);
	pool_stats(pool, &stats);
	if ((stats.held_bytes - stats.slot_bytes) * SLACK_SHARE <
	    stats.held_bytes)
		return 0;
	choice.room_bytes = budget_room(sp->budget);
	for_each_span(sp, count_free, &choice);
	for (unsigned i = 0; i < ARRAY_SIZE(densities) && choice.left; i++) {
		choice.density_max = densities[i];
		for_each_span(sp, choose, &choice);
	}
	return max_spans - choice.left;
}

bool compact_should_move(struct pool *pool, struct handle h)
{
	struct span_pool *sp = span_pool_of(pool);
	struct place at;

	return !place_of(sp, h, &at) &&
	       atomic_load_explicit(&span_at(sp, at.span)->victim,
				    memory_order_relaxed);
}

void compact_end(struct pool *pool)
{
	for_each_span(span_pool_of(pool), unchoose, NULL);
}
