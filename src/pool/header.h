/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8 bytes in front of every object: its length, its owner's tag and a
 * check over both and the object's own place.
 *
 * The place is part of the check, so an old header that now lies in the middle
 * of a slot of another class, or a header copied elsewhere, is not taken for
 * an object. All zeroes is no header.
 */
#ifndef SRC_POOL_HEADER_H
#define SRC_POOL_HEADER_H

#include "pool/pool.h"
#include <assert.h>

#define HEADER_BYTES 8u
#define HEADER_LENGTH_BITS 13
#define HEADER_TAG_BITS 16
#define HEADER_LOW_BITS (HEADER_LENGTH_BITS + HEADER_TAG_BITS)
#define HEADER_LOW_MASK ((UINT64_C(1) << HEADER_LOW_BITS) - 1)
#define HEADER_LENGTH_MASK ((UINT64_C(1) << HEADER_LENGTH_BITS) - 1)

static_assert(POOL_OBJECT_MAX <= HEADER_LENGTH_MASK, "a length fits");

/* A mix in which each bit of the place and of @low changes half the check. */
static inline uint64_t header_check(uint64_t offset_bytes, uint64_t low)
{
	uint64_t x = (offset_bytes + 1) * UINT64_C(0x9e3779b97f4a7c15) ^
		     (low + 1) * UINT64_C(0xc2b2ae3d27d4eb4f);

	x ^= x >> 32;
	x *= UINT64_C(0x9fb21c651e98df25);
	return x & ~HEADER_LOW_MASK;
}

static inline uint64_t header_make(uint64_t offset_bytes, uint32_t n_bytes,
				   uint16_t tag)
{
	uint64_t low = n_bytes | (uint64_t)tag << HEADER_LENGTH_BITS;

	return header_check(offset_bytes, low) | low;
}

/* Can @header stand at @offset_bytes, in a slot of @slot_bytes? */
static inline bool header_is_valid(uint64_t header, uint64_t offset_bytes,
				   uint32_t slot_bytes)
{
	uint64_t low = header & HEADER_LOW_MASK;
	uint64_t n_bytes = low & HEADER_LENGTH_MASK;

	return n_bytes > 0 && n_bytes + HEADER_BYTES <= slot_bytes &&
	       n_bytes <= POOL_OBJECT_MAX &&
	       header == (header_check(offset_bytes, low) | low);
}

static inline uint32_t header_length(uint64_t header)
{
	return (uint32_t)(header & HEADER_LENGTH_MASK);
}

static inline uint16_t header_tag(uint64_t header)
{
	return (uint16_t)(header >> HEADER_LENGTH_BITS);
}

#endif
