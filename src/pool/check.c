/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recount everything that is derived and compare: the spans' bits, the lists,
 * the shards' counters, the free spans, the words and headers in the arena.
 *
 * Nobody else may be in the pool meanwhile.
 */
#include "base/check.h"
#include "pool/span_priv.h"
#include <errno.h>
#include <string.h>

static bool span_adds_up(const struct span *span)
{
	unsigned used = 0;

	for (unsigned word = 0; word < CLASS_SLOTS_MAX / 64; word++)
		used += pages_count(span->used_bits[word]);
	for (unsigned slot = 0; slot < span->lowest_free; slot++)
		if (!slots_is_used(span, slot))
			return false;
	return used == span->used && used <= span->slots &&
	       !(slots_needed(span) & ~span->ready) &&
	       slots_count_ready_free(span) == span->ready_free;
}

/* Objects of one span, by their headers, added to @sum. */
static bool add_objects(const struct span_pool *sp, uint32_t ix,
			struct pool_stats *sum)
{
	const struct span *span = span_at(sp, ix);

	for (unsigned slot = 0; slot < span->slots; slot++) {
		uint64_t offset = (uint64_t)ix * SPAN_BYTES +
				  (uint64_t)slot * span->slot_bytes;
		uint64_t header;

		if (!slots_is_used(span, slot))
			continue;
		header = atomic_load_explicit(header_at(sp, offset),
					      memory_order_relaxed);
		if (!header_is_valid(header, offset, span->slot_bytes))
			return false;
		sum->objects++;
		sum->object_bytes += header_length(header);
		sum->slot_bytes += span->slot_bytes;
	}
	sum->spans++;
	sum->held_bytes += (uint64_t)pages_count(span->ready) * PAGE_BYTES;
	return true;
}

/* Members of the shard's lists; each must be where its counts say. */
static bool count_listed(struct span_pool *sp, struct shard *sh,
			 uint64_t *ret_listed) REQUIRES(&sh->lock)
{
	*ret_listed = 0;
	for (unsigned c = 0; c < CLASS_NR; c++)
		for (unsigned group = 0; group < GROUP_NR; group++) {
			uint32_t ix = sh->heads[c][group];
			bool bit = sh->groups[c] >> group & 1;

			if (bit != (ix != SPAN_NONE))
				return false;
			for (; ix != SPAN_NONE; ix = span_at(sp, ix)->next) {
				const struct span *span = span_at(sp, ix);

				if (span->group != group ||
				    span->slot_bytes != class_slot_bytes(c))
					return false;
				++*ret_listed;
			}
		}
	return true;
}

static bool shard_adds_up(struct span_pool *sp, struct shard *sh)
	REQUIRES(&sh->lock)
{
	unsigned s = (unsigned)(sh - sp->shards);
	struct pool_stats sum = {0};
	uint64_t listed = 0, on_lists;
	uint32_t end = span_end(sp);

	for (uint32_t ix = 0; ix < end; ix++) {
		struct span *span = span_at(sp, ix);
		unsigned group = span->group;
		uint32_t word = atomic_load_explicit(&sp->words[ix],
						     memory_order_relaxed);

		if (span_shard(span) != s)
			continue;
		if (!span_adds_up(span) || !add_objects(sp, ix, &sum) ||
		    word == 0 || class_slot_bytes(word - 1) != span->slot_bytes)
			return false;
		if (span->used == 0 && sh->kept != ix)
			return false;
		shard_relist(sp, sh, ix);
		if (span->group != group)
			return false;
		listed += group != GROUP_NONE;
	}
	return count_listed(sp, sh, &on_lists) && listed == on_lists &&
	       sum.objects == sh->stats.objects &&
	       sum.object_bytes == sh->stats.object_bytes &&
	       sum.slot_bytes == sh->stats.slot_bytes &&
	       sum.spans == sh->stats.spans &&
	       sum.held_bytes == PAGE_BYTES * sh->held_pages;
}

/* A span is in use exactly if a shard owns it, and only then has a word. */
static bool space_adds_up(const struct span_pool *sp) REQUIRES(&sp->spans_lock)
{
	uint32_t end = span_end(sp);

	for (uint32_t ix = 0; ix < end; ix++) {
		bool owned = span_shard(span_at(sp, ix)) != SHARD_NONE;
		bool word = atomic_load_explicit(&sp->words[ix],
						 memory_order_relaxed) != 0;

		if (owned != space_is_in_use(sp, ix) || owned != word)
			return false;
		if (!owned && ix < sp->lowest_unused)
			return false;
	}
	return true;
}

int span_check(struct pool *pool)
{
	struct span_pool *sp = (struct span_pool *)pool;
	bool ok = true;

	for (unsigned s = 0; s < sp->shards_nr && ok; s++) {
		struct shard *sh = &sp->shards[s];

		lock_take(&sh->lock);
		ok = shard_adds_up(sp, sh);
		lock_drop(&sh->lock);
	}
	lock_take(&sp->spans_lock);
	ok = ok && space_adds_up(sp);
	lock_drop(&sp->spans_lock);
	return ok ? 0 : -EUCLEAN;
}

uint64_t span_fingerprint(struct pool *pool)
{
	const struct span_pool *sp = (const struct span_pool *)pool;
	uint32_t end = span_end(sp);
	uint64_t sum = 0;

	for (uint32_t ix = 0; ix < end; ix++) {
		const struct span *span = span_at(sp, ix);

		if (span_shard(span) == SHARD_NONE)
			continue;
		for (unsigned slot = 0; slot < span->slots; slot++)
			if (slots_is_used(span, slot))
				sum += pool_mix(handle_make(
					(uint64_t)ix * SPAN_BYTES +
					(uint64_t)slot * span->slot_bytes));
	}
	return sum;
}
