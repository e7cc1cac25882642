/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Size classes: which slot size an object of n bytes goes into, pure
 * arithmetic.
 *
 * One class every 16 bytes: rounding costs 7.5 bytes a mean object, 0.5 % of
 * what lz4 makes of a page, and no class is worth merging: spans are so long
 * that a wider class would only round more. Slots may cross 4 KiB lines.
 */
#ifndef SRC_POOL_CLASS_H
#define SRC_POOL_CLASS_H

#include "pool/header.h"
#include "pool/pool.h"
#include "pool/span.h"
#include <assert.h>

#define CLASS_STEP_BYTES 16u
#define CLASS_MIN_BYTES 32u
#define CLASS_MAX_BYTES 4112u
#define CLASS_NR ((CLASS_MAX_BYTES - CLASS_MIN_BYTES) / CLASS_STEP_BYTES + 1)

/*
 * A span of tiny slots uses only its first part, so that the bitmap in every
 * span's private state stays at 256 bytes (0.1 %). The rest is address space
 * and is never touched.
 */
#define CLASS_SLOTS_MAX 2048u

static_assert(CLASS_MAX_BYTES >= POOL_OBJECT_MAX + HEADER_BYTES,
	      "the largest object fits the largest class");
static_assert(CLASS_MAX_BYTES - CLASS_STEP_BYTES <
		      POOL_OBJECT_MAX + HEADER_BYTES,
	      "the largest class is needed");

/* The smallest class that holds an object of @n_bytes with its header. */
static inline unsigned class_of(uint32_t n_bytes)
{
	uint32_t need = n_bytes + HEADER_BYTES;

	if (need <= CLASS_MIN_BYTES)
		return 0;
	return (need - CLASS_MIN_BYTES + CLASS_STEP_BYTES - 1) /
	       CLASS_STEP_BYTES;
}

static inline uint32_t class_slot_bytes(unsigned class)
{
	return CLASS_MIN_BYTES + class * CLASS_STEP_BYTES;
}

/* Slots in one span of @class. */
static inline unsigned class_slots(unsigned class)
{
	unsigned n = SPAN_BYTES / class_slot_bytes(class);

	return n < CLASS_SLOTS_MAX ? n : CLASS_SLOTS_MAX;
}

#endif
