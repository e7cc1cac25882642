/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entry: the 64-bit word that says where one page's bytes are, and the
 * tag that an object carries. Pure arithmetic.
 *
 * Bits of an entry, lowest first:
 *
 *	kind        3   enum entry_kind
 *	age         4   0 after every read and write; what ages counts it up.
 *	                Spilled: counts down from ENTRY_AGAIN_TICKS at a read
 *	mark        1   claimed by a background pass; a touch clears it
 *	generation 16   one up at each change of the word's meaning
 *	payload    40   handle, fill word, record index: by kind
 *
 * The generation is what makes "unchanged since I looked" true: an object may
 * be freed and its handle given to the same page again meanwhile. Zero is an
 * empty entry, so fresh records need no preparation.
 */
#ifndef SRC_STORE_ENTRY_H
#define SRC_STORE_ENTRY_H

#include "backing/backing.h"
#include "base/page.h"
#include "codec/sets.h"
#include "pool/pool.h"
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/* Kept in the arena: values never change their meaning. */
enum entry_kind {
	ENTRY_EMPTY = 0,       /* a hole: reads as zeroes, holds nothing */
	ENTRY_FILL = 1,        /* a fill page; its word is in the payload */
	ENTRY_FILL_RECORD = 2, /* a fill page; payload: record of TABLE_FILLS */
	ENTRY_RAM = 3,         /* payload: handle of an object */
	ENTRY_BAD = 4,         /* lost: reads as EIO until it is overwritten */
	ENTRY_SPILLED = 5,     /* on disk only; payload: name of an extent */
	ENTRY_NODE = 7,        /* only in body.root: see map.h */
};

#define ENTRY_KIND_BITS 3
#define ENTRY_AGE_SHIFT 3
#define ENTRY_AGE_MAX UINT64_C(15)
#define ENTRY_AGE (ENTRY_AGE_MAX << ENTRY_AGE_SHIFT)
/* So many ticks are remembered since a spilled page was read last. */
#define ENTRY_AGAIN_TICKS UINT64_C(15)
#define ENTRY_MARK (UINT64_C(1) << 7)
#define ENTRY_GENERATION_SHIFT 8
#define ENTRY_PAYLOAD_SHIFT 24
#define ENTRY_PAYLOAD_BITS 40

/* What a touch resets and what no change of meaning is. */
#define ENTRY_SOFT (ENTRY_AGE | ENTRY_MARK)
#define ENTRY_GENERATION (UINT64_C(0xffff) << ENTRY_GENERATION_SHIFT)

static_assert(ENTRY_PAYLOAD_SHIFT + ENTRY_PAYLOAD_BITS == 64,
	      "the fields of an entry fill its word");
static_assert(HANDLE_BITS <= ENTRY_PAYLOAD_BITS, "a handle fits an entry");
static_assert(EXTENT_BITS <= ENTRY_PAYLOAD_BITS, "an extent fits an entry");

static inline enum entry_kind entry_kind(uint64_t word)
{
	return (enum entry_kind)(word & ((1u << ENTRY_KIND_BITS) - 1));
}

static inline uint64_t entry_payload(uint64_t word)
{
	return word >> ENTRY_PAYLOAD_SHIFT;
}

static inline unsigned entry_age(uint64_t word)
{
	return (unsigned)(word >> ENTRY_AGE_SHIFT & ENTRY_AGE_MAX);
}

/* A young, unmarked entry of generation 0. */
static inline uint64_t entry_make(enum entry_kind kind, uint64_t payload)
{
	return payload << ENTRY_PAYLOAD_SHIFT | (uint64_t)kind;
}

/* @fresh as the successor of @old: one generation on. */
static inline uint64_t entry_after(uint64_t old, uint64_t fresh)
{
	uint64_t next = old + (UINT64_C(1) << ENTRY_GENERATION_SHIFT);

	return (fresh & ~ENTRY_GENERATION) | (next & ENTRY_GENERATION);
}

/* True if both words mean the same; ages and marks may differ. */
static inline bool entry_same(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~ENTRY_SOFT) == 0;
}

/* Lost by itself, and counted; pages of a lost node have no payload. */
static inline uint64_t entry_lost(void)
{
	return entry_make(ENTRY_BAD, 1);
}

static inline bool entry_counts_as_lost(uint64_t word)
{
	return entry_kind(word) == ENTRY_BAD && entry_payload(word);
}

/* True for what counts against the size limit and shows in st_blocks. */
static inline bool entry_is_held(uint64_t word)
{
	enum entry_kind kind = entry_kind(word);

	return kind == ENTRY_FILL || kind == ENTRY_FILL_RECORD ||
	       kind == ENTRY_RAM || kind == ENTRY_SPILLED;
}

static inline struct handle entry_handle(uint64_t word)
{
	return (struct handle){.value = entry_payload(word)};
}

static inline struct extent entry_extent(uint64_t word)
{
	return (struct extent){.value = entry_payload(word)};
}

static inline uint16_t entry_generation(uint64_t word)
{
	return (uint16_t)(word >> ENTRY_GENERATION_SHIFT);
}

/* @word after a read of its page. */
static inline uint64_t entry_touched(uint64_t word)
{
	uint64_t young = word & ~ENTRY_SOFT;

	if (entry_kind(word) == ENTRY_SPILLED)
		young |= ENTRY_AGAIN_TICKS << ENTRY_AGE_SHIFT;
	return young;
}

/* Ticks since a spilled page was read; ENTRY_AGAIN_TICKS: as many or more. */
static inline unsigned entry_read_ticks(uint64_t word)
{
	return (unsigned)ENTRY_AGAIN_TICKS - entry_age(word);
}

/* @word one tick later; nothing else of it changes. */
static inline uint64_t entry_older(uint64_t word)
{
	uint64_t tick = UINT64_C(1) << ENTRY_AGE_SHIFT;

	if (entry_kind(word) == ENTRY_SPILLED)
		return word & ENTRY_AGE ? word - tick : word;
	return (word & ENTRY_AGE) != ENTRY_AGE ? word + tick : word;
}

/* --- fill words in the payload --- */

/* Set: the payload's low 32 bits are half of a word of two equal halves. */
#define FILL_HALVES (UINT64_C(1) << (ENTRY_PAYLOAD_BITS - 1))

static inline bool fill_fits_entry(uint64_t word)
{
	return word < FILL_HALVES || word >> 32 == (word & UINT32_MAX);
}

/* Needs fill_fits_entry(@word). */
static inline uint64_t entry_of_fill(uint64_t word)
{
	if (word >= FILL_HALVES)
		word = FILL_HALVES | (word & UINT32_MAX);
	return entry_make(ENTRY_FILL, word);
}

static inline uint64_t entry_fill_word(uint64_t entry)
{
	uint64_t payload = entry_payload(entry);

	if (payload & FILL_HALVES)
		payload = (payload & UINT32_MAX) * UINT64_C(0x100000001);
	return payload;
}

/* --- tags of objects --- */

/* Lengths are kept in units of 8 bytes; the last unit is zero-padded. */
#define TAG_UNIT 8u
#define TAG_LENGTH_BITS 9

static_assert(PAGE_BYTES / TAG_UNIT == 1u << TAG_LENGTH_BITS,
	      "a page's length fits a tag");
static_assert(SETS_MAX <= 1u << (16 - TAG_LENGTH_BITS),
	      "a set's number fits a tag");

static inline unsigned length_in_units(unsigned n_bytes)
{
	return (n_bytes + TAG_UNIT - 1) & ~(TAG_UNIT - 1);
}

/* @length: decoded bytes, 8 to PAGE_BYTES, a multiple of TAG_UNIT. */
static inline uint16_t tag_make(unsigned set, unsigned length)
{
	return (uint16_t)(set << TAG_LENGTH_BITS | (length / TAG_UNIT - 1));
}

static inline unsigned tag_set(uint16_t tag)
{
	return (tag >> TAG_LENGTH_BITS) & (SETS_MAX - 1);
}

static inline unsigned tag_length(uint16_t tag)
{
	return ((tag & ((1u << TAG_LENGTH_BITS) - 1)) + 1) * TAG_UNIT;
}

#endif
