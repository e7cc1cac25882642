/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arena.c and table.c share: the layout of `meta` and the private state.
 *
 * Only files of src/arena include this. Everything in struct superblock and
 * the records is truth; everything in struct table is derived from it.
 */
#ifndef SRC_ARENA_INSIDE_H
#define SRC_ARENA_INSIDE_H

#include "arena/arena.h"
#include "base/lock.h"
#include "base/sparse.h"

#define ARENA_MAGIC UINT64_C(0x616e657261464f46) /* "FOFarena" */
#define ARENA_VERSION 3u
#define SUPERBLOCK_BYTES 4096u
#define SPAN_BYTES (UINT64_C(256) << 10)

/* The start of `meta`. Offsets and sizes never change within a version. */
struct superblock {
	uint64_t magic;
	uint32_t version;
	uint32_t table_nr;
	uint64_t meta_bytes;
	uint64_t pool_bytes;
	uint32_t record_bytes[TABLE_NR];
	uint32_t capacity[TABLE_NR];
	/*
	 * One past the highest index ever handed out. Stored before the record
	 * is: whatever a crash leaves in records lies below.
	 */
	_Atomic uint32_t end[TABLE_NR];
	_Atomic uint64_t word[ARENA_WORD_NR];
};
_Static_assert(sizeof(struct superblock) <= SUPERBLOCK_BYTES,
	       "the superblock is one page");

/*
 * Memory of a table comes and goes by chunks: the power of two of records
 * that fills 64 KiB (48 or 80 KiB where a record is no power of two).
 * Sixty-four chunks are described together. A chunk is
 *	absent	no memory			grown 0, room 0, used 0
 *	open	memory and a free record	grown 1, room 1
 *	full	no free record			grown 1, room 0, used > 0
 *	leaving	being punched, lock dropped	grown 1, room 0, used 0
 */
struct chunk_group {
	uint64_t grown;
	uint64_t room;
	uint16_t used[64];
};

#define CHUNK_NONE UINT32_MAX
/* Leaves have the most: 2^26 records of 512 bytes are 2^19 chunks. */
#define CHUNKS_MAX (1u << 19)
#define ROOM_WORDS (CHUNKS_MAX / 64 / 64)

/* The derived state of one table; its lock guards all of it. */
struct table {
	struct lock lock;
	struct sparse bits;    /* one bit a record: used */
	struct sparse groups;  /* struct chunk_group */
	uint32_t first_absent; /* no absent chunk is below */
	uint32_t spare;        /* the one empty chunk that is kept */
	/* One bit a group: it has an open chunk. */
	uint64_t room[ROOM_WORDS];
	_Atomic uint64_t used; /* written under the lock, read without */
} CACHE_ALIGNED;

struct arena {
	struct arena_view view; /* first: table_at() finds it here */
	struct superblock *super;
	_Atomic uint32_t *span_words;
	char *meta;
	char *pool;
	uint64_t meta_bytes;
	uint64_t pool_bytes;
	uint64_t head_bytes; /* superblock and span words: their memory... */
	uint64_t head_most;  /* ...and what is reserved for it */
	uint64_t table_offset[TABLE_NR];
	int meta_fd;
	int pool_fd;
	struct budget *budget;
	struct table table[TABLE_NR];
};

/* Punch a hole; false when the kernel keeps the memory. */
bool arena_punch(int fd, uint64_t offset, uint64_t bytes);

/* Half-built is fine for table_fini(): it gives back what is charged. */
int table_init(struct arena *arena, enum arena_table table) MUST_CHECK;
void table_fini(struct arena *arena, enum arena_table table);
/* Derived memory for what is below `end`, by force: before a scan. */
int table_ready(struct arena *arena, enum arena_table table) MUST_CHECK;

/* --- chunk.c; all but chunk_leave() under the table's lock --- */

/* The geometry of a table, in powers of two of records. */
struct table_shape {
	uint8_t capacity_shift;
	uint8_t chunk_shift;
};
extern const struct table_shape table_shapes[TABLE_NR];

uint64_t table_bytes(enum arena_table table);
uint64_t chunk_bytes(enum arena_table table);
uint32_t chunk_nr(enum arena_table table);
/* How many chunks [0, ret) hold the records below the table's end. */
uint32_t chunk_top(const struct arena *arena, enum arena_table table);
/* Records of @chunk that can be used: RECORD_NONE cannot. */
uint32_t chunk_room(enum arena_table table, uint32_t chunk);

/* The open chunk to take from next; CHUNK_NONE: grow. */
uint32_t chunk_lowest_open(const struct table *t);
void chunk_set_open(struct table *t, uint32_t chunk);
void chunk_clear_open(struct table *t, uint32_t chunk);
/* Derived memory for chunks [0, chunks). */
int chunk_ready(struct arena *arena, enum arena_table table, uint32_t chunks,
		enum budget_use use) MUST_CHECK;
/* An absent chunk becomes open. -ENOSPC, -ENOMEM. */
int chunk_grow(struct arena *arena, enum arena_table table, enum budget_use use,
	       uint32_t *ret_chunk) MUST_CHECK;
/* @chunk has its memory already: it is only noted as grown, not open. */
void chunk_note_grown(struct table *t, uint32_t chunk);
/* @chunk ran empty: which one leaves for it; CHUNK_NONE: none. */
uint32_t chunk_choose_leaver(struct table *t, uint32_t chunk);
/* Gives the memory of a leaving chunk back. Takes the lock itself. */
void chunk_leave(struct arena *arena, enum arena_table table, uint32_t chunk);

static inline uint64_t *bit_words(const struct table *t)
{
	return (uint64_t *)(void *)t->bits.base;
}

static inline bool bit_is_set(const struct table *t, uint32_t ix)
{
	return bit_words(t)[ix / 64] >> (ix % 64) & 1;
}

static inline struct chunk_group *group_of(const struct table *t,
					   uint32_t chunk)
{
	return (struct chunk_group *)(void *)t->groups.base + chunk / 64;
}

/* A chunk's bit in its group, a group's bit in its word. */
static inline uint64_t bit_of(uint32_t n)
{
	return UINT64_C(1) << (n % 64);
}

#endif
