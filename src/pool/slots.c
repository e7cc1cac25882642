/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The arithmetic over one span's slots and pages. */
#include "pool/slots.h"
#include "base/check.h"
#include <string.h>

/* Frees between two looks for whole free pages: a quarter of the span. */
static unsigned trim_step(const struct span *span)
{
	return span->slots / 4 + 1;
}

void slots_init(struct span *span, unsigned class)
{
	memset(span->used_bits, 0, sizeof(span->used_bits));
	span->ready = 0;
	span->prev = SPAN_NONE;
	span->next = SPAN_NONE;
	span->slot_bytes = (uint16_t)class_slot_bytes(class);
	span->slots = (uint16_t)class_slots(class);
	span->used = 0;
	span->ready_free = 0;
	span->trim_at = (uint16_t)trim_step(span);
	span->lowest_free = 0;
	span->busy = false;
	atomic_store_explicit(&span->victim, false, memory_order_relaxed);
}

uint64_t slots_pages(const struct span *span, unsigned slot)
{
	unsigned first = slot * span->slot_bytes >> PAGE_SHIFT;
	unsigned last = ((slot + 1) * span->slot_bytes - 1) >> PAGE_SHIFT;

	return UINT64_MAX >> (63 - last) & UINT64_MAX << first;
}

bool slots_is_used(const struct span *span, unsigned slot)
{
	return span->used_bits[slot / 64] >> (slot % 64) & 1;
}

/* The first free slot at or above @slot, or SLOT_NONE. */
static uint32_t next_free(const struct span *span, unsigned slot)
{
	unsigned word = slot / 64;
	uint64_t free_bits;

	if (slot >= span->slots)
		return SLOT_NONE;
	free_bits = ~span->used_bits[word] & UINT64_MAX << (slot % 64);
	while (!free_bits) {
		if (++word * 64 >= span->slots)
			return SLOT_NONE;
		free_bits = ~span->used_bits[word];
	}
	slot = word * 64 + (unsigned)__builtin_ctzll(free_bits);
	return slot < span->slots ? slot : SLOT_NONE;
}

uint32_t slots_find_free(const struct span *span)
{
	return next_free(span, span->lowest_free);
}

/*
 * A trimmed span has runs of pages that are not ready, each with many free
 * slots: from a slot that does not fit, jump to the next ready page.
 */
uint32_t slots_find_ready(const struct span *span)
{
	uint32_t slot = next_free(span, span->lowest_free);

	while (slot != SLOT_NONE) {
		uint64_t missing = slots_pages(span, slot) & ~span->ready;
		unsigned page;
		uint64_t above;

		if (!missing)
			return slot;
		page = 63 - (unsigned)__builtin_clzll(missing);
		if (page == 63)
			return SLOT_NONE;
		above = span->ready & UINT64_MAX << (page + 1);
		if (!above)
			return SLOT_NONE;
		page = (unsigned)__builtin_ctzll(above);
		slot = next_free(span, (page * PAGE_BYTES + span->slot_bytes -
					1) / span->slot_bytes);
	}
	return SLOT_NONE;
}

/* Free slots that @pages, just made ready, have completed. */
static unsigned newly_ready_free(const struct span *span, uint64_t pages)
{
	unsigned first = (unsigned)__builtin_ctzll(pages) * PAGE_BYTES /
			 span->slot_bytes;
	unsigned end = (64 - (unsigned)__builtin_clzll(pages)) * PAGE_BYTES /
			       span->slot_bytes +
		       1;
	unsigned n = 0;

	if (end > span->slots)
		end = span->slots;
	for (unsigned slot = first; slot < end; slot++) {
		uint64_t on = slots_pages(span, slot);

		n += on & pages && !(on & ~span->ready) &&
		     !slots_is_used(span, slot);
	}
	return n;
}

void slots_take(struct span *span, unsigned slot, uint64_t pages)
{
	unsigned floor;

	debug_invariant(!slots_is_used(span, slot));
	debug_invariant(!(slots_pages(span, slot) & ~(span->ready | pages)));
	if (pages) {
		span->ready |= pages;
		span->ready_free += (uint16_t)newly_ready_free(span, pages);
	}
	span->used_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
	span->used++;
	span->ready_free--;
	if (slot == span->lowest_free)
		span->lowest_free = (uint16_t)(slot + 1);
	floor = span->ready_free + trim_step(span);
	if (span->trim_at > floor)
		span->trim_at = (uint16_t)floor;
}

void slots_give(struct span *span, unsigned slot)
{
	/* A second free of one object is a bug of the owner's. */
	invariant(slots_is_used(span, slot));
	span->used_bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
	span->used--;
	span->ready_free++;
	if (slot < span->lowest_free)
		span->lowest_free = (uint16_t)slot;
}

uint64_t slots_needed(const struct span *span)
{
	uint64_t needed = 0;

	for (unsigned word = 0; word * 64 < span->slots; word++)
		for (uint64_t bits = span->used_bits[word]; bits;
		     bits &= bits - 1)
			needed |= slots_pages(
				span,
				word * 64 + (unsigned)__builtin_ctzll(bits));
	return needed;
}

unsigned slots_count_ready_free(const struct span *span)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < span->slots; slot++)
		n += !slots_is_used(span, slot) &&
		     !(slots_pages(span, slot) & ~span->ready);
	return n;
}

void slots_set_ready(struct span *span, uint64_t ready)
{
	span->ready = ready;
	span->ready_free = (uint16_t)slots_count_ready_free(span);
	span->trim_at = (uint16_t)(span->ready_free + trim_step(span));
}
