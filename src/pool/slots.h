/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One span's private state and the arithmetic over it: which slots are used,
 * which 4 KiB pages are paid for, which slot to hand out next. Pure: takes no
 * lock, touches no pool memory; the owner's lock covers every call.
 */
#ifndef SRC_POOL_SLOTS_H
#define SRC_POOL_SLOTS_H

#include "pool/class.h"
#include <stdatomic.h>

#define SLOT_NONE UINT32_MAX
#define SPAN_PAGES (SPAN_BYTES / PAGE_BYTES)
#define SPAN_NONE UINT32_MAX
#define SHARD_NONE 0xffu

static_assert(SPAN_PAGES == 64, "a span's pages are the bits of one word");

/*
 * Equations (span_pool's check() proves them):
 *	used       = bits set in used_bits
 *	ready      covers every page of every used slot
 *	ready_free = free slots whose pages are all in ready
 */
struct span {
	uint64_t ready;      /* one bit a page: the budget has paid for it */
	uint32_t prev, next; /* in the shard's list of this class and group */
	uint16_t slot_bytes;
	uint16_t slots;
	uint16_t used;
	uint16_t ready_free;
	uint16_t trim_at;      /* look for free pages at so many ready_free */
	uint16_t lowest_free;  /* no slot below it is free */
	uint8_t group;         /* list it is on, enum shard_group */
	bool busy;             /* its owner punches it: in no list */
	_Atomic bool victim;   /* compaction empties it: in no list */
	_Atomic uint8_t shard; /* owner, SHARD_NONE: on its way out, or free */
	uint64_t used_bits[CLASS_SLOTS_MAX / 64];
};

/* A fresh span without used slots or ready pages. */
void slots_init(struct span *span, unsigned class);

/* The pages that @slot lies on. */
uint64_t slots_pages(const struct span *span, unsigned slot);
bool slots_is_used(const struct span *span, unsigned slot);

/* Lowest free slot, or SLOT_NONE: on ready pages only; anywhere. */
uint32_t slots_find_ready(const struct span *span);
uint32_t slots_find_free(const struct span *span);

/* Mark a free slot used; @pages become ready besides (paid by the caller). */
void slots_take(struct span *span, unsigned slot, uint64_t pages);
void slots_give(struct span *span, unsigned slot);

/* The pages that used slots lie on. */
uint64_t slots_needed(const struct span *span);
/* From scratch: free slots on ready pages. */
unsigned slots_count_ready_free(const struct span *span);
/* Set what is ready (after a trim or a rebuild) and recount. */
void slots_set_ready(struct span *span, uint64_t ready);

static inline unsigned pages_count(uint64_t pages)
{
	return (unsigned)__builtin_popcountll(pages);
}

#endif
