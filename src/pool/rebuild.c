/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * After an attach: all private state again, from the spans' words, the
 * objects' headers and what the owner marks.
 *
 * What is derived of a span is exact afterwards: its ready pages are those
 * that marked objects lie on, and every other page goes back to the system.
 */
#include "base/check.h"
#include "pool/span_priv.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct span_pool *span_pool_of(struct pool *pool)
{
	return (struct span_pool *)pool;
}

/* What the kernel charges for the pool's file. */
static uint64_t charged_bytes(const struct span_pool *sp)
{
	struct stat st;

	if (fstat(arena_pool_fd(sp->arena), &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

/* One past the highest span of an earlier life; garbage is cut down. */
static uint32_t stored_end(const struct span_pool *sp)
{
	uint64_t end = atomic_load_explicit(
		arena_word(sp->arena, ARENA_WORD_SPANS), memory_order_acquire);

	return end < sp->spans_nr ? (uint32_t)end : sp->spans_nr;
}

/* Room for the state of every span there may be: it is needed before a single
 * object can be found again, so the budget is not asked. */
static void grow_tables(struct span_pool *sp, uint32_t end)
{
	int r = sparse_grow(&sp->in_use, (end / 64 + 1) * 8ul, BUDGET_FORCED);

	if (!r && end)
		r = sparse_grow(&sp->records, end * sizeof(struct span),
				BUDGET_FORCED);
	invariant(r == 0);
	arena_charge_span_words(sp->arena, end);
	memset(sp->in_use.base, 0, sp->in_use.ready_bytes);
}

static void init_record(struct span_pool *sp, uint32_t ix)
{
	uint32_t word =
		atomic_load_explicit(&sp->words[ix], memory_order_acquire);
	struct span *span = span_at(sp, ix);
	bool known = word > 0 && word <= CLASS_NR;

	slots_init(span, known ? word - 1 : 0);
	span->group = GROUP_NONE;
	atomic_store_explicit(&span->shard, SHARD_NONE, memory_order_relaxed);
}

void rebuild_begin(struct pool *pool)
{
	struct span_pool *sp = span_pool_of(pool);
	uint32_t end = stored_end(sp);
	uint64_t held_bytes = 0;

	for (unsigned s = 0; s < sp->shards_nr; s++) {
		struct shard *sh = &sp->shards[s];

		held_bytes += atomic_load_explicit(&sh->held_pages,
						   memory_order_relaxed) *
				      PAGE_BYTES +
			      sh->stats.spans * SPAN_KERNEL_BYTES;
		shard_reset(sh);
	}
	budget_give(sp->budget, held_bytes + sp->scan_bytes);
	sp->scan_bytes = charged_bytes(sp);
	budget_force(sp->budget, sp->scan_bytes);
	grow_tables(sp, end);
	for (uint32_t ix = 0; ix < end; ix++)
		init_record(sp, ix);
	sp->lowest_unused = 0;
	atomic_store_explicit(&sp->end, end, memory_order_release);
}

int rebuild_mark(struct pool *pool, struct handle h)
{
	struct span_pool *sp = span_pool_of(pool);
	struct place at;
	struct span *span;
	struct shard *sh;
	uint64_t header;

	if (place_of(sp, h, &at) < 0)
		return -EIO;
	span = span_at(sp, at.span);
	if (slots_is_used(span, at.slot))
		return -EEXIST;
	header = atomic_load_explicit(header_at(sp, at.offset_bytes),
				      memory_order_relaxed);
	if (!header_is_valid(header, at.offset_bytes, at.slot_bytes))
		return -EIO;
	slots_take(span, at.slot, slots_pages(span, at.slot) & ~span->ready);
	sh = &sp->shards[at.span % sp->shards_nr];
	sh->stats.objects++;
	sh->stats.object_bytes += header_length(header);
	sh->stats.slot_bytes += span->slot_bytes;
	return 0;
}

/* A span with marked objects joins its shard; the pages between objects go. */
static void adopt(struct span_pool *sp, uint32_t ix)
{
	struct span *span = span_at(sp, ix);
	unsigned s = ix % sp->shards_nr;
	struct shard *sh = &sp->shards[s];

	slots_set_ready(span, slots_needed(span));
	space_drop_pages(sp, ix, ~span->ready);
	space_set_in_use(sp, ix);
	lock_take(&sh->lock);
	atomic_store_explicit(&span->shard, (uint8_t)s, memory_order_relaxed);
	atomic_fetch_add_explicit(&sh->held_pages, pages_count(span->ready),
				  memory_order_relaxed);
	sh->stats.spans++;
	shard_relist(sp, sh, ix);
	lock_drop(&sh->lock);
}

void rebuild_end(struct pool *pool)
{
	struct span_pool *sp = span_pool_of(pool);
	uint32_t end = span_end(sp);
	uint64_t held_bytes = 0;

	for (uint32_t ix = 0; ix < end; ix++) {
		if (span_at(sp, ix)->used > 0) {
			adopt(sp, ix);
			held_bytes +=
				(uint64_t)pages_count(span_at(sp, ix)->ready) *
					PAGE_BYTES +
				SPAN_KERNEL_BYTES;
			continue;
		}
		atomic_store_explicit(&sp->words[ix], 0, memory_order_release);
		space_drop_pages(sp, ix, UINT64_MAX);
	}
	if ((uint64_t)end * SPAN_BYTES < sp->pool_bytes)
		arena_pool_punch(sp->arena, (uint64_t)end * SPAN_BYTES,
				 sp->pool_bytes - (uint64_t)end * SPAN_BYTES);
	budget_force(sp->budget, held_bytes);
	budget_give(sp->budget, sp->scan_bytes);
	sp->scan_bytes = 0;
	space_scan_done(sp);
}
