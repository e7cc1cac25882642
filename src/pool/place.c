/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a handle to a slot: whatever value comes in, the answer is a slot of a
 * span that exists, or -EIO.
 *
 * Takes no lock: the only thing read is the span's word in the arena, stored
 * with release before any handle of the span was handed out.
 */
#include "pool/span_priv.h"

int place_of(const struct span_pool *sp, struct handle h,
	     struct place *ret_place)
{
	uint64_t offset;
	uint32_t ix, word, slot_bytes, inside;

	if (handle_offset(h, sp->pool_bytes, &offset) < 0)
		return -EIO;
	ix = (uint32_t)(offset / SPAN_BYTES);
	/* Words above were never touched; reading one would make it real. */
	if (ix >= span_end(sp))
		return -EIO;
	word = atomic_load_explicit(&sp->words[ix], memory_order_acquire);
	if (word == 0 || word > CLASS_NR)
		return -EIO;
	slot_bytes = class_slot_bytes(word - 1);
	inside = (uint32_t)(offset % SPAN_BYTES);
	if (inside % slot_bytes || inside / slot_bytes >= class_slots(word - 1))
		return -EIO;
	*ret_place = (struct place){
		.offset_bytes = offset,
		.span = ix,
		.slot = inside / slot_bytes,
		.slot_bytes = slot_bytes,
	};
	return 0;
}
