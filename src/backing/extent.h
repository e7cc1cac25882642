/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extents as they are named and as they lie in the file: pure arithmetic.
 *
 * A name is the extent's first unit in the file and its units, header counted:
 *
 *	 39                          8 7         0
 *	+-----------------------------+-----------+
 *	| first unit                  | units     |
 *	+-----------------------------+-----------+
 *
 * The first block of the file is its own header, so that no extent is at unit
 * 0 and a name is never 0.
 */
#ifndef SRC_BACKING_EXTENT_H
#define SRC_BACKING_EXTENT_H

#include "backing/backing.h"
#include <assert.h>
#include <string.h>

/* What is written and read begins and ends at such a block. */
#define BLOCK_BYTES 4096u
#define SEGMENT_UNITS (BACKING_SEGMENT_BYTES / BACKING_UNIT)
#define SEGMENTS_MAX ((uint32_t)(BACKING_BYTES_MAX / BACKING_SEGMENT_BYTES))
#define EXTENT_UNITS_MIN 2u
#define EXTENT_UNITS_MAX (1u + BACKING_OBJECT_MAX / BACKING_UNIT)
#define EXTENT_LENGTH_BITS 8

/* On the disk, in the machine's own byte order: no other machine reads it. */
struct extent_header {
	union {
		struct {
			uint64_t check;    /* XXH3 of the rest and the bytes */
			uint64_t sequence; /* of the segment's life */
		};
		uint8_t mac[16]; /* encrypted; the sequence is in the nonce */
	};
	uint32_t file;
	uint32_t page;
	uint16_t generation;
	uint16_t tag;
	uint16_t n_bytes; /* behind the header; 0: no extent is here */
	uint16_t kind;
};

static_assert(sizeof(struct extent_header) == BACKING_UNIT, "one unit");
static_assert(EXTENT_UNITS_MAX < 1u << EXTENT_LENGTH_BITS, "fits a name");
static_assert(BACKING_BYTES_MAX / BACKING_UNIT <=
		      UINT64_C(1) << (EXTENT_BITS - EXTENT_LENGTH_BITS),
	      "every unit has a name");

/* An extent's place, from its name. */
struct place {
	uint64_t unit;    /* of the file */
	uint32_t segment; /* its number */
	uint32_t first;   /* unit of the segment */
	uint32_t units;
};

static inline unsigned extent_units(size_t n_bytes)
{
	return 1u + (unsigned)((n_bytes + BACKING_UNIT - 1) / BACKING_UNIT);
}

static inline struct extent extent_name(uint64_t unit, unsigned units)
{
	return (struct extent){unit << EXTENT_LENGTH_BITS | units};
}

static inline struct place extent_place(struct extent extent)
{
	uint64_t unit = extent.value >> EXTENT_LENGTH_BITS;

	return (struct place){
		.unit = unit,
		.segment = (uint32_t)(unit / SEGMENT_UNITS),
		.first = (uint32_t)(unit % SEGMENT_UNITS),
		.units = extent.value & ((1u << EXTENT_LENGTH_BITS) - 1),
	};
}

/* The first unit of a segment that extents may use. */
static inline uint32_t segment_first(uint32_t segment)
{
	return segment == 0 ? BLOCK_BYTES / BACKING_UNIT : 0;
}

/* Could there be such an extent, in whatever file? */
static inline bool extent_is_possible(struct extent extent)
{
	struct place at = extent_place(extent);

	return extent.value >> EXTENT_BITS == 0 &&
	       at.units >= EXTENT_UNITS_MIN && at.units <= EXTENT_UNITS_MAX &&
	       at.first >= segment_first(at.segment) &&
	       at.first + at.units <= SEGMENT_UNITS;
}

static inline uint64_t round_up_block(uint64_t bytes)
{
	return (bytes + BLOCK_BYTES - 1) & ~(uint64_t)(BLOCK_BYTES - 1);
}

static inline uint64_t round_down_block(uint64_t bytes)
{
	return bytes & ~(uint64_t)(BLOCK_BYTES - 1);
}

#endif
