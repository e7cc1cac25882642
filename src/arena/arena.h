/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arena: two memfds that hold all state which outlives the daemon.
 *
 * `meta` holds a superblock and the record tables, `pool` the bytes of
 * objects. Both are mapped sparsely at their full configured size; memory
 * comes by touching and goes back by hole punching. There are only indexes in
 * here, never pointers; no lock lives here; what is not truth (free lists,
 * counts) lives in private memory and is rebuilt by one scan after
 * arena_attach(). Layer 1: knows base only.
 */
#ifndef SRC_ARENA_ARENA_H
#define SRC_ARENA_ARENA_H

#include "base/budget.h"
#include "base/check.h"
#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The record tables. An owner static_asserts that its record fits. */
enum arena_table {
	TABLE_INODES,    /* tree */
	TABLE_NAMES,     /* tree: directory entries with names <= 36 */
	TABLE_LONGNAMES, /* tree: the same with names <= 255 */
	TABLE_XATTRS,    /* tree: the body of one inode's xattrs */
	TABLE_OPS,       /* tree: requests under way and their replies */
	TABLE_TWIGS,     /* store: 8 entries */
	TABLE_LEAVES,    /* store: 64 entries or 64 children */
	TABLE_FILLS,     /* store: fill words that fit no entry */
	TABLE_SEGMENTS,  /* backing: segments of the backing file */
	TABLE_NR
};

#define INODE_RECORD_BYTES 96u
#define NAME_RECORD_BYTES 64u
#define LONGNAME_RECORD_BYTES 320u
#define XATTR_RECORD_BYTES 64u
#define OP_RECORD_BYTES 128u
#define TWIG_RECORD_BYTES 64u
#define LEAF_RECORD_BYTES 512u
#define FILL_RECORD_BYTES 8u
#define SEGMENT_RECORD_BYTES 64u

/* Index of no record: table_alloc() never gives it. */
#define RECORD_NONE 0u

/* Words of the superblock that each layer may keep small truths in. */
enum arena_word {
	ARENA_WORD_SETS,         /* codec: 64 parameter sets, one a word */
	ARENA_WORD_SPANS = 64,   /* pool: first index of nothing yet */
	ARENA_WORD_STORE = 72,   /* store: 8 words */
	ARENA_WORD_TREE = 80,    /* tree: 8 words */
	ARENA_WORD_BACKING = 88, /* backing: 8 words */
	ARENA_WORD_NR = 96
};

struct arena;

/* What table_at() needs; the rest of struct arena is src/arena's own. */
struct arena_view {
	char *records[TABLE_NR];
};

/*
 * Two new memfds. @pool_bytes is the largest size the pool may ever have
 * (rounded up to 256 KiB), address space and not memory. Charges the budget for
 * what it touches. -ENOMEM, -EMFILE, -ENOSPC (budget).
 */
int arena_new(uint64_t pool_bytes, struct budget *budget,
	      struct arena **ret_arena) MUST_CHECK;

/*
 * Map an arena that another life made. Takes over copies of the descriptors.
 * All tables are as after table_scan_begin(): each owner must mark what is
 * used and end the scan. Charges the budget by force for the superblock and
 * the span words now, for records as they are marked; what the pool holds is
 * charged by its owner. -EINVAL: not an arena of this version; -ENOMEM,
 * -EMFILE.
 */
int arena_attach(int meta_fd, int pool_fd, struct budget *budget,
		 struct arena **ret_arena) MUST_CHECK;

/* Unmaps and closes. The memory is gone unless someone holds the memfds. */
void arena_free(struct arena *arena);

int arena_meta_fd(const struct arena *arena);
int arena_pool_fd(const struct arena *arena);
struct budget *arena_budget(const struct arena *arena);

/* One persistent word; the caller orders its accesses with atomics. */
_Atomic uint64_t *arena_word(struct arena *arena, unsigned word);

/* --- pool memory: a plain range; its owner (src/pool) does the accounts --- */
char *arena_pool(const struct arena *arena);
uint64_t arena_pool_bytes(const struct arena *arena);
/* Span states: one persistent u32 per 256 KiB of the pool, 0 at first. */
_Atomic uint32_t *arena_span_words(const struct arena *arena);
/*
 * Memory for the words of spans [0, @spans), before they are written first; it
 * is charged, and stays. -ENOSPC (budget), -ENOMEM. One caller at a time.
 */
int arena_grow_span_words(struct arena *arena, uint64_t spans,
			  enum budget_use use) MUST_CHECK;
/* Charge them: an earlier life had them, and their memory is there. */
void arena_charge_span_words(struct arena *arena, uint64_t spans);
/* Give [offset, offset + bytes) back; page-aligned; reads as zero after. */
void arena_pool_punch(struct arena *arena, uint64_t offset, uint64_t bytes);
/* Bytes the kernel charges for both memfds (st_blocks). */
uint64_t arena_charged_bytes(const struct arena *arena);

/* --- record tables --- */

/*
 * A free record, zeroed, never RECORD_NONE. Charges the budget when the table
 * must grow. -ENOSPC (budget or table full), -ENOMEM (the system has no
 * memory for what the budget allows). Takes the table's lock; no heap call.
 * Nobody else finds the record until the caller publishes its index.
 */
int table_alloc(struct arena *arena, enum arena_table table,
		enum budget_use use, uint32_t *ret_ix) MUST_CHECK;
/* Give a record back: nothing may refer to it any more. Cannot fail. */
void table_free(struct arena *arena, enum arena_table table, uint32_t ix);

static inline size_t table_record_bytes(enum arena_table table)
{
	static const uint16_t bytes[TABLE_NR] = {
		[TABLE_INODES] = INODE_RECORD_BYTES,
		[TABLE_NAMES] = NAME_RECORD_BYTES,
		[TABLE_LONGNAMES] = LONGNAME_RECORD_BYTES,
		[TABLE_XATTRS] = XATTR_RECORD_BYTES,
		[TABLE_OPS] = OP_RECORD_BYTES,
		[TABLE_TWIGS] = TWIG_RECORD_BYTES,
		[TABLE_LEAVES] = LEAF_RECORD_BYTES,
		[TABLE_FILLS] = FILL_RECORD_BYTES,
		[TABLE_SEGMENTS] = SEGMENT_RECORD_BYTES,
	};

	return bytes[table];
}

/* Records there can be, RECORD_NONE counted: valid indexes are below. */
uint32_t table_capacity(const struct arena *arena, enum arena_table table);

/*
 * The record; valid while allocated. @ix below the table's capacity. Inline:
 * with a constant @table it is one load and one multiplication.
 */
static inline void *table_at(const struct arena *arena, enum arena_table table,
			     uint32_t ix)
{
	const struct arena_view *view = (const void *)arena;

	debug_invariant(ix != RECORD_NONE && ix < table_capacity(arena, table));
	return view->records[table] + ix * table_record_bytes(table);
}

/* Records in use now, and one past the highest index ever used in this arena. */
uint64_t table_used(const struct arena *arena, enum arena_table table);
uint32_t table_end(const struct arena *arena, enum arena_table table);
/* True if @ix is allocated (derived; for checks and after a scan). */
bool table_is_used(const struct arena *arena, enum arena_table table,
		   uint32_t ix);

/*
 * Rebuild of the derived free records: begin (all free), mark each record that
 * truth reaches, end (what was not marked is zeroed and its memory goes back).
 * table_mark(): -EEXIST marked twice, -ERANGE no such record. Single-threaded.
 */
void table_scan_begin(struct arena *arena, enum arena_table table);
int table_mark(struct arena *arena, enum arena_table table,
	       uint32_t ix) MUST_CHECK;
void table_scan_end(struct arena *arena, enum arena_table table);

#endif
