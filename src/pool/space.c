/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Spans that belong to no shard: the lowest free one is handed out, what
 * comes back is punched and its budget returned.
 *
 * Lowest first keeps the private tables, which grow with the highest span
 * ever used, short.
 */
#include "base/check.h"
#include "pool/span_priv.h"
#include <errno.h>

static uint64_t *in_use_words(const struct span_pool *sp)
{
	return (uint64_t *)(void *)sp->in_use.base;
}

/* The lowest span that is not in use, or SPAN_NONE. */
static uint32_t find_unused(const struct span_pool *sp)
	REQUIRES(&sp->spans_lock)
{
	const uint64_t *words = in_use_words(sp);
	uint64_t ready_bits = sp->in_use.ready_bytes * 8;
	uint32_t ix = sp->lowest_unused;

	/* Bits above lowest_unused in its own word may be set: test each. */
	while (ix < sp->spans_nr && ix < ready_bits) {
		uint64_t unused = ~words[ix / 64] & UINT64_MAX << (ix % 64);

		if (unused) {
			ix = ix / 64 * 64 + (uint32_t)__builtin_ctzll(unused);
			break;
		}
		ix = ix / 64 * 64 + 64;
	}
	return ix < sp->spans_nr ? ix : SPAN_NONE;
}

/* More shards allocate as the pool grows; any number of them is right. */
static void choose_active(struct span_pool *sp)
{
	uint64_t held_pages = 0;
	uint64_t active;

	if (sp->shards_fixed)
		return;
	for (unsigned s = 0; s < sp->shards_nr; s++)
		held_pages += atomic_load_explicit(&sp->shards[s].held_pages,
						   memory_order_relaxed);
	active = 1 + held_pages * PAGE_BYTES / SHARD_HELD_BYTES;
	if (active > sp->shards_nr)
		active = sp->shards_nr;
	atomic_store_explicit(&sp->active, (unsigned)active,
			      memory_order_relaxed);
}

static int get_locked(struct span_pool *sp, uint32_t *ret_ix)
	REQUIRES(&sp->spans_lock)
{
	uint32_t ix = find_unused(sp);
	int r;

	if (ix == SPAN_NONE)
		return -ENOSPC;
	r = arena_grow_span_words(sp->arena, ix + 1ul, BUDGET_NORMAL);
	if (!r)
		r = sparse_grow(&sp->in_use, (ix / 64 + 1) * 8ul,
				BUDGET_NORMAL);
	if (!r)
		r = sparse_grow(&sp->records, (ix + 1ul) * sizeof(struct span),
				BUDGET_NORMAL);
	if (r < 0)
		return -ENOSPC;
	in_use_words(sp)[ix / 64] |= UINT64_C(1) << (ix % 64);
	sp->lowest_unused = ix + 1;
	*ret_ix = ix;
	return 0;
}

int space_get(struct span_pool *sp, unsigned class, unsigned shard,
	      uint32_t *ret_ix)
{
	struct span *span;
	uint32_t ix;
	int r;

	lock_take(&sp->spans_lock);
	r = get_locked(sp, &ix);
	if (r < 0)
		goto out;
	span = span_at(sp, ix);
	slots_init(span, class);
	span->group = GROUP_NONE;
	atomic_store_explicit(&span->shard, (uint8_t)shard,
			      memory_order_relaxed);
	if (ix >= atomic_load_explicit(&sp->end, memory_order_relaxed)) {
		/* Truth first: a rebuild looks only at words below it. */
		atomic_store_explicit(arena_word(sp->arena, ARENA_WORD_SPANS),
				      ix + 1, memory_order_release);
		atomic_store_explicit(&sp->end, ix + 1, memory_order_release);
	}
	/* Pairs with the acquire in place_of(). */
	atomic_store_explicit(&sp->words[ix], class + 1, memory_order_release);
	choose_active(sp);
	*ret_ix = ix;
out:
	lock_drop(&sp->spans_lock);
	return r;
}

void space_drop_pages(struct span_pool *sp, uint32_t ix, uint64_t pages)
{
	while (pages) {
		unsigned first = (unsigned)__builtin_ctzll(pages);
		uint64_t gaps = ~(pages >> first);
		unsigned len = gaps ? (unsigned)__builtin_ctzll(gaps) : 64;

		arena_pool_punch(sp->arena,
				 (uint64_t)ix * SPAN_BYTES +
					 (uint64_t)first * PAGE_BYTES,
				 (uint64_t)len * PAGE_BYTES);
		if (first + len >= SPAN_PAGES)
			break;
		pages &= UINT64_MAX << (first + len);
	}
}

void space_punch(struct span_pool *sp, uint32_t ix, uint64_t pages)
{
	space_drop_pages(sp, ix, pages);
	budget_give(sp->budget, (uint64_t)pages_count(pages) * PAGE_BYTES);
}

void space_set_in_use(struct span_pool *sp, uint32_t ix)
{
	in_use_words(sp)[ix / 64] |= UINT64_C(1) << (ix % 64);
}

bool space_is_in_use(const struct span_pool *sp, uint32_t ix)
{
	return in_use_words(sp)[ix / 64] >> (ix % 64) & 1;
}

void space_scan_done(struct span_pool *sp)
{
	lock_take(&sp->spans_lock);
	sp->lowest_unused = 0;
	choose_active(sp);
	lock_drop(&sp->spans_lock);
}

void space_put(struct span_pool *sp, const uint32_t *ixs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct span *span = span_at(sp, ixs[i]);

		invariant(span->used == 0 && span->group == GROUP_NONE);
		/* The word first: a death in between leaves a span without
		 * objects, whose memory the rebuild gives back. */
		atomic_store_explicit(&sp->words[ixs[i]], 0,
				      memory_order_release);
		/* All of it, also what a stray read made real. */
		arena_pool_punch(sp->arena, (uint64_t)ixs[i] * SPAN_BYTES,
				 SPAN_BYTES);
		budget_give(sp->budget,
			    (uint64_t)pages_count(span->ready) * PAGE_BYTES +
				    SPAN_KERNEL_BYTES);
		span->ready = 0;
	}
	lock_take(&sp->spans_lock);
	for (unsigned i = 0; i < n; i++) {
		in_use_words(sp)[ixs[i] / 64] &=
			~(UINT64_C(1) << (ixs[i] % 64));
		if (ixs[i] < sp->lowest_unused)
			sp->lowest_unused = ixs[i];
	}
	lock_drop(&sp->spans_lock);
}
