/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole pages that lie between objects go back without waiting for their
 * span to empty.
 *
 * note: busy. A span whose pages are being punched is in no list, so nobody
 * takes a slot there; objects in it may be freed meanwhile, and whoever made
 * it busy looks, when done, whether it emptied.
 */
#include "base/check.h"
#include "pool/span_priv.h"

uint64_t trim_start(struct span_pool *sp, struct shard *sh, uint32_t ix)
{
	struct span *span = span_at(sp, ix);
	uint64_t pages;

	if (span->busy)
		return 0;
	pages = span->ready & ~slots_needed(span);
	slots_set_ready(span, span->ready & ~pages);
	if (!pages) {
		shard_relist(sp, sh, ix);
		return 0;
	}
	span->busy = true;
	shard_relist(sp, sh, ix);
	atomic_fetch_sub_explicit(&sh->held_pages, pages_count(pages),
				  memory_order_relaxed);
	return pages;
}

void trim_finish(struct span_pool *sp, struct shard *sh, uint32_t ix,
		 uint64_t pages)
{
	struct span *span = span_at(sp, ix);
	bool empty;

	space_punch(sp, ix, pages);
	lock_take(&sh->lock);
	span->busy = false;
	empty = span->used == 0;
	if (empty)
		shard_take_off(sp, sh, ix);
	else
		shard_relist(sp, sh, ix);
	lock_drop(&sh->lock);
	if (empty)
		space_put(sp, &ix, 1);
}

/* Is there a chance of a whole free page in @span? */
static bool worth_trimming(const struct span *span)
{
	return span->used > 0 && span->ready_free > 0 &&
	       (span->ready_free + 1u) * span->slot_bytes >= PAGE_BYTES;
}

static uint64_t trim_one(struct span_pool *sp, uint32_t ix)
{
	struct span *span = span_at(sp, ix);
	unsigned owner = span_shard(span);
	struct shard *sh;
	uint64_t pages = 0;

	if (owner == SHARD_NONE || owner >= sp->shards_nr)
		return 0;
	sh = &sp->shards[owner];
	lock_take(&sh->lock);
	/* It may have left, or come back to another shard. */
	if (span_shard(span) == owner && worth_trimming(span))
		pages = trim_start(sp, sh, ix);
	lock_drop(&sh->lock);
	if (pages)
		trim_finish(sp, sh, ix, pages);
	return (uint64_t)pages_count(pages) * PAGE_BYTES;
}

uint64_t reclaim_all(struct span_pool *sp)
{
	uint32_t end = span_end(sp);
	uint64_t bytes = 0;

	for (uint32_t ix = 0; ix < end; ix++)
		bytes += trim_one(sp, ix);
	return bytes;
}

static uint64_t drop_kept(struct span_pool *sp, struct shard *sh)
{
	uint64_t bytes = 0;
	uint32_t ix;

	lock_take(&sh->lock);
	ix = sh->kept;
	if (ix != SPAN_NONE) {
		bytes = (uint64_t)pages_count(span_at(sp, ix)->ready) *
			PAGE_BYTES;
		shard_take_off(sp, sh, ix);
	}
	lock_drop(&sh->lock);
	if (ix != SPAN_NONE)
		space_put(sp, &ix, 1);
	return bytes;
}

/* Starts the count anew only when there is enough to look for. */
static bool enough_freed(struct span_pool *sp, uint64_t min_freed_bytes)
{
	uint64_t freed = 0;

	for (unsigned s = 0; s < sp->shards_nr; s++) {
		struct shard *sh = &sp->shards[s];

		lock_take(&sh->lock);
		freed += sh->freed_bytes;
		lock_drop(&sh->lock);
	}
	if (freed < min_freed_bytes)
		return false;
	for (unsigned s = 0; s < sp->shards_nr; s++) {
		struct shard *sh = &sp->shards[s];

		lock_take(&sh->lock);
		sh->freed_bytes = 0;
		lock_drop(&sh->lock);
	}
	return true;
}

uint64_t reclaim(struct span_pool *sp, uint64_t min_freed_bytes)
{
	uint64_t bytes = 0;

	for (unsigned s = 0; s < sp->shards_nr; s++)
		bytes += drop_kept(sp, &sp->shards[s]);
	if (enough_freed(sp, min_freed_bytes))
		bytes += reclaim_all(sp);
	return bytes;
}
