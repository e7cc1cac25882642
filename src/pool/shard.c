/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One shard: lists of spans by class and fullness, and which slot comes next.
 *
 * The order of choice bounds the waste: a free slot on memory that is paid
 * for, in the fullest span, before any other page is charged; then a page of
 * a span there is; then a new span.
 */
#include "base/check.h"
#include "pool/span_priv.h"
#include <errno.h>
#include <string.h>

static unsigned span_class(const struct span *span)
{
	return (span->slot_bytes - CLASS_MIN_BYTES) / CLASS_STEP_BYTES;
}

void shard_reset(struct shard *sh)
{
	memset(sh->heads, 0xff, sizeof(sh->heads));
	memset(sh->groups, 0, sizeof(sh->groups));
	memset(sh->ready_classes, 0, sizeof(sh->ready_classes));
	sh->kept = SPAN_NONE;
	sh->freed_bytes = 0;
	sh->stats = (struct pool_stats){.moved = sh->stats.moved};
	atomic_store_explicit(&sh->held_pages, 0, memory_order_relaxed);
}

void shard_init(struct shard *sh)
{
	memset(&sh->stats, 0, sizeof(sh->stats));
	lock_init(&sh->lock, LOCK_POOL);
	shard_reset(sh);
}

void shard_fini(struct shard *sh)
{
	lock_fini(&sh->lock);
}

static void add_held_pages(struct shard *sh, int pages)
{
	uint64_t held =
		atomic_load_explicit(&sh->held_pages, memory_order_relaxed);

	atomic_store_explicit(&sh->held_pages, held + (uint64_t)(int64_t)pages,
			      memory_order_relaxed);
}

/* --- lists --- */

static void note_groups(struct shard *sh, unsigned class)
{
	uint64_t bit = UINT64_C(1) << (class % 64);

	if (sh->groups[class] & ((1u << GROUP_READY_NR) - 1))
		sh->ready_classes[class / 64] |= bit;
	else
		sh->ready_classes[class / 64] &= ~bit;
}

static void link_span(struct span_pool *sp, struct shard *sh, uint32_t ix,
		      unsigned group)
{
	struct span *span = span_at(sp, ix);
	unsigned class = span_class(span);
	uint32_t *head = &sh->heads[class][group];

	span->group = (uint8_t)group;
	span->prev = SPAN_NONE;
	span->next = *head;
	if (*head != SPAN_NONE)
		span_at(sp, *head)->prev = ix;
	*head = ix;
	sh->groups[class] |= (uint16_t)(1u << group);
	note_groups(sh, class);
}

void shard_unlist(struct span_pool *sp, struct shard *sh, uint32_t ix)
{
	struct span *span = span_at(sp, ix);
	unsigned class = span_class(span);

	if (span->group == GROUP_NONE)
		return;
	if (span->next != SPAN_NONE)
		span_at(sp, span->next)->prev = span->prev;
	if (span->prev != SPAN_NONE)
		span_at(sp, span->prev)->next = span->next;
	else
		sh->heads[class][span->group] = span->next;
	if (sh->heads[class][span->group] == SPAN_NONE) {
		sh->groups[class] &= (uint16_t) ~(1u << span->group);
		note_groups(sh, class);
	}
	span->group = GROUP_NONE;
}

static unsigned group_of(const struct span *span)
{
	if (span->busy ||
	    atomic_load_explicit(&span->victim, memory_order_relaxed) ||
	    span->used == span->slots)
		return GROUP_NONE;
	if (span->ready_free == 0)
		return GROUP_COLD;
	return span->used * GROUP_READY_NR / span->slots;
}

void shard_relist(struct span_pool *sp, struct shard *sh, uint32_t ix)
{
	struct span *span = span_at(sp, ix);
	unsigned group = group_of(span);

	if (group == span->group)
		return;
	shard_unlist(sp, sh, ix);
	if (group != GROUP_NONE)
		link_span(sp, sh, ix, group);
}

/* --- taking slots --- */

static void take_slot(struct span_pool *sp, struct shard *sh, uint32_t ix,
		      unsigned slot, uint64_t pages, uint32_t n_bytes,
		      struct taken *ret) REQUIRES(&sh->lock)
{
	struct span *span = span_at(sp, ix);

	slots_take(span, slot, pages);
	if (sh->kept == ix)
		sh->kept = SPAN_NONE;
	add_held_pages(sh, (int)pages_count(pages));
	sh->stats.objects++;
	sh->stats.object_bytes += n_bytes;
	sh->stats.slot_bytes += span->slot_bytes;
	shard_relist(sp, sh, ix);
	ret->offset_bytes =
		(uint64_t)ix * SPAN_BYTES + (uint64_t)slot * span->slot_bytes;
}

static bool take_ready(struct span_pool *sp, struct shard *sh, unsigned class,
		       uint32_t n_bytes, struct taken *ret) REQUIRES(&sh->lock)
{
	unsigned ready = sh->groups[class] & ((1u << GROUP_READY_NR) - 1);
	uint32_t ix, slot;

	if (!ready)
		return false;
	ix = sh->heads[class][31 - __builtin_clz(ready)];
	slot = slots_find_ready(span_at(sp, ix));
	invariant(slot != SLOT_NONE);
	take_slot(sp, sh, ix, slot, 0, n_bytes, ret);
	return true;
}

static bool take_cold(struct span_pool *sp, struct shard *sh, unsigned class,
		      uint32_t n_bytes, struct taken *ret) REQUIRES(&sh->lock)
{
	uint32_t ix = sh->heads[class][GROUP_COLD];
	struct span *span;
	uint64_t pages;
	uint32_t slot;

	if (ix == SPAN_NONE)
		return false;
	span = span_at(sp, ix);
	slot = slots_find_free(span);
	invariant(slot != SLOT_NONE);
	pages = slots_pages(span, slot) & ~span->ready;
	if (budget_take(sp->budget, (uint64_t)pages_count(pages) * PAGE_BYTES,
			BUDGET_NORMAL) < 0)
		return false;
	take_slot(sp, sh, ix, slot, pages, n_bytes, ret);
	return true;
}

static int take_new(struct span_pool *sp, struct shard *sh, unsigned class,
		    uint32_t n_bytes, struct taken *ret) REQUIRES(&sh->lock)
{
	unsigned n = (unsigned)pages_for(class_slot_bytes(class));
	uint64_t bytes = (uint64_t)n * PAGE_BYTES + SPAN_KERNEL_BYTES;
	uint32_t ix;

	if (budget_take(sp->budget, bytes, BUDGET_NORMAL) < 0)
		return -ENOSPC;
	if (space_get(sp, class, (unsigned)(sh - sp->shards), &ix) < 0) {
		budget_give(sp->budget, bytes);
		return -ENOSPC;
	}
	sh->stats.spans++;
	take_slot(sp, sh, ix, 0, UINT64_MAX >> (64 - n), n_bytes, ret);
	return 0;
}

/*
 * Is much of what is held free? Overwriting drifts: a class has free slots
 * while its neighbour asks for pages. Then a slot that is a bit too large costs
 * nothing, and another page would.
 */
static bool is_loose(const struct shard *sh)
{
	uint64_t held = PAGE_BYTES * atomic_load_explicit(&sh->held_pages,
							  memory_order_relaxed);

	return held > sh->stats.slot_bytes + held / LOOSE_SHARE;
}

static unsigned near_end(unsigned class)
{
	unsigned end = class + 1 + NEAR_CLASSES;

	return end < CLASS_NR ? end : CLASS_NR;
}

int shard_take(struct span_pool *sp, struct shard *sh, uint32_t n_bytes,
	       struct taken *ret)
{
	unsigned class = class_of(n_bytes);

	if (take_ready(sp, sh, class, n_bytes, ret))
		return 0;
	if (is_loose(sh) &&
	    shard_take_ready(sp, sh, class + 1, near_end(class), n_bytes, ret))
		return 0;
	if (take_cold(sp, sh, class, n_bytes, ret))
		return 0;
	/* A cold span that cannot be charged: nor can a new one. */
	if (sh->heads[class][GROUP_COLD] != SPAN_NONE)
		return -ENOSPC;
	return take_new(sp, sh, class, n_bytes, ret);
}

bool shard_take_ready(struct span_pool *sp, struct shard *sh, unsigned first,
		      unsigned end, uint32_t n_bytes, struct taken *ret)
{
	unsigned class = first;

	while (class < end) {
		uint64_t bits = sh->ready_classes[class / 64] &
				UINT64_MAX << (class % 64);

		if (!bits) {
			class = class / 64 * 64 + 64;
			continue;
		}
		class = class / 64 * 64 + (unsigned)__builtin_ctzll(bits);
		return class < end && take_ready(sp, sh, class, n_bytes, ret);
	}
	return false;
}

bool shard_take_cold(struct span_pool *sp, struct shard *sh, unsigned first,
		     unsigned end, uint32_t n_bytes, struct taken *ret)
{
	for (unsigned c = first; c < end; c++)
		if (sh->heads[c][GROUP_COLD] != SPAN_NONE)
			return take_cold(sp, sh, c, n_bytes, ret);
	return false;
}

/* --- giving slots back --- */

void shard_take_off(struct span_pool *sp, struct shard *sh, uint32_t ix)
{
	struct span *span = span_at(sp, ix);

	invariant(span->used == 0 && !span->busy);
	shard_unlist(sp, sh, ix);
	if (sh->kept == ix)
		sh->kept = SPAN_NONE;
	add_held_pages(sh, -(int)pages_count(span->ready));
	sh->stats.spans--;
	atomic_store_explicit(&span->shard, SHARD_NONE, memory_order_relaxed);
}

/* May the shard keep this empty span, so that a class with one object that
 * comes and goes does not punch each time? */
static bool may_keep(const struct shard *sh, const struct span *span)
{
	return sh->kept == SPAN_NONE &&
	       pages_count(span->ready) <= KEPT_PAGES_MAX &&
	       !atomic_load_explicit(&span->victim, memory_order_relaxed);
}

enum shard_after shard_give(struct span_pool *sp, struct shard *sh, uint32_t ix,
			    unsigned slot, uint32_t n_bytes)
{
	struct span *span = span_at(sp, ix);

	slots_give(span, slot);
	sh->freed_bytes += span->slot_bytes;
	sh->stats.objects--;
	/* A lost header makes @n_bytes a guess from above. */
	if (n_bytes > sh->stats.object_bytes)
		n_bytes = (uint32_t)sh->stats.object_bytes;
	sh->stats.object_bytes -= n_bytes;
	sh->stats.slot_bytes -= span->slot_bytes;
	if (atomic_load_explicit(&span->victim, memory_order_relaxed))
		sh->stats.moved++;
	if (span->busy)
		return AFTER_NOTHING;
	if (span->used == 0 && !may_keep(sh, span)) {
		shard_take_off(sp, sh, ix);
		return AFTER_PUT;
	}
	shard_relist(sp, sh, ix);
	if (span->used == 0)
		sh->kept = ix;
	else if (span->ready_free >= span->trim_at)
		return AFTER_TRIM;
	return AFTER_NOTHING;
}
