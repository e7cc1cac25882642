/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chunks of a record table: when their memory comes, when it goes.
 *
 * The lowest open chunk is always used first, so that the high ones run empty
 * and can be given back; one empty chunk is kept, or a record made and deleted
 * in turn would grow and punch each time.
 */
#include "arena/inside.h"
#include "base/resident.h"
#include <errno.h>
#include <fcntl.h>

/* Capacities are address space only, chosen never to be what runs out. */
const struct table_shape table_shapes[TABLE_NR] = {
	[TABLE_INODES] = {26, 9},    [TABLE_NAMES] = {26, 10},
	[TABLE_LONGNAMES] = {24, 8}, [TABLE_XATTRS] = {24, 10},
	[TABLE_OPS] = {12, 9},       [TABLE_TWIGS] = {26, 10},
	[TABLE_LEAVES] = {26, 7},    [TABLE_FILLS] = {28, 13},
	[TABLE_SEGMENTS] = {18, 6},
};

/* Whole pages, whole words of the bitmap, and few enough to be counted. */
#define ASSERT_SHAPE(record, capacity_shift, chunk_shift)                      \
	_Static_assert(((record) << (chunk_shift)) % 4096 == 0 &&              \
			       (chunk_shift) >= 6 && (chunk_shift) <= 15 &&    \
			       1u << ((capacity_shift) - (chunk_shift)) <=     \
				       CHUNKS_MAX,                             \
		       "shape of a table")
ASSERT_SHAPE(INODE_RECORD_BYTES, 26, 9);
ASSERT_SHAPE(NAME_RECORD_BYTES, 26, 10);
ASSERT_SHAPE(LONGNAME_RECORD_BYTES, 24, 8);
ASSERT_SHAPE(XATTR_RECORD_BYTES, 24, 10);
ASSERT_SHAPE(OP_RECORD_BYTES, 12, 9);
ASSERT_SHAPE(TWIG_RECORD_BYTES, 26, 10);
ASSERT_SHAPE(LEAF_RECORD_BYTES, 26, 7);
ASSERT_SHAPE(FILL_RECORD_BYTES, 28, 13);
ASSERT_SHAPE(SEGMENT_RECORD_BYTES, 18, 6);

uint64_t table_bytes(enum arena_table table)
{
	return (uint64_t)table_record_bytes(table)
	       << table_shapes[table].capacity_shift;
}

uint64_t chunk_bytes(enum arena_table table)
{
	return (uint64_t)table_record_bytes(table)
	       << table_shapes[table].chunk_shift;
}

uint32_t chunk_nr(enum arena_table table)
{
	return 1u << (table_shapes[table].capacity_shift -
		      table_shapes[table].chunk_shift);
}

uint32_t chunk_top(const struct arena *arena, enum arena_table table)
{
	unsigned shift = table_shapes[table].chunk_shift;
	uint32_t end = table_end(arena, table);

	/* RECORD_NONE alone needs no chunk. */
	return end <= 1 ? 0 : (end + (1u << shift) - 1) >> shift;
}

uint32_t chunk_room(enum arena_table table, uint32_t chunk)
{
	return (1u << table_shapes[table].chunk_shift) - (chunk == 0);
}

void chunk_set_open(struct table *t, uint32_t chunk)
{
	uint32_t group = chunk / 64;

	group_of(t, chunk)->room |= bit_of(chunk);
	t->room[group / 64] |= bit_of(group);
}

void chunk_clear_open(struct table *t, uint32_t chunk)
{
	struct chunk_group *g = group_of(t, chunk);
	uint32_t group = chunk / 64;

	g->room &= ~bit_of(chunk);
	if (g->room == 0)
		t->room[group / 64] &= ~bit_of(group);
}

uint32_t chunk_lowest_open(const struct table *t)
{
	for (uint32_t w = 0; w < ROOM_WORDS; w++) {
		uint32_t chunk;

		if (t->room[w] == 0)
			continue;
		chunk = (w * 64 + (uint32_t)__builtin_ctzll(t->room[w])) * 64;
		return chunk +
		       (uint32_t)__builtin_ctzll(group_of(t, chunk)->room);
	}
	return CHUNK_NONE;
}

int chunk_ready(struct arena *arena, enum arena_table table, uint32_t chunks,
		enum budget_use use)
{
	struct table *t = &arena->table[table];
	size_t records = (size_t)chunks << table_shapes[table].chunk_shift;
	size_t groups = (chunks + 63) / 64;
	int r = sparse_grow(&t->groups, groups * sizeof(struct chunk_group),
			    use);

	if (r < 0)
		return r;
	return sparse_grow(&t->bits, records / 8, use);
}

/* The lowest absent chunk, its derived memory ready. */
static int find_absent(struct arena *arena, enum arena_table table,
		       enum budget_use use, uint32_t *ret_chunk)
{
	struct table *t = &arena->table[table];
	uint32_t chunk = t->first_absent;

	for (; chunk < chunk_nr(table); chunk = (chunk / 64 + 1) * 64) {
		int r = chunk_ready(arena, table, chunk + 1, use);
		uint64_t absent;

		if (r < 0)
			return r;
		absent = ~group_of(t, chunk)->grown &
			 (UINT64_MAX << (chunk % 64));
		if (absent == 0)
			continue;
		chunk = chunk / 64 * 64 + (uint32_t)__builtin_ctzll(absent);
		if (chunk >= chunk_nr(table))
			break;
		t->first_absent = chunk;
		r = chunk_ready(arena, table, chunk + 1, use);
		if (r == 0)
			*ret_chunk = chunk;
		return r;
	}
	return -ENOSPC;
}

/* The chunk's memory now, all of it: a fault later could only be a SIGBUS. */
static int fill_chunk(struct arena *arena, enum arena_table table,
		      uint32_t chunk)
{
	uint64_t bytes = chunk_bytes(table);
	uint64_t offset = arena->table_offset[table] + chunk * bytes;

	/* A failed call takes back what it had got. */
	while (fallocate(arena->meta_fd, 0, (off_t)offset, (off_t)bytes) < 0)
		if (errno != EINTR)
			return -ENOMEM;
	/* What nobody has mapped is not locked yet. */
	return resident_fill(arena->meta + offset, bytes);
}

void chunk_note_grown(struct table *t, uint32_t chunk)
{
	group_of(t, chunk)->grown |= bit_of(chunk);
	/* RECORD_NONE is never free. */
	if (chunk == 0)
		bit_words(t)[0] |= 1;
}

int chunk_grow(struct arena *arena, enum arena_table table, enum budget_use use,
	       uint32_t *ret_chunk)
{
	struct table *t = &arena->table[table];
	uint32_t chunk = CHUNK_NONE;
	int r = find_absent(arena, table, use, &chunk);

	if (r == 0)
		r = budget_take(arena->budget, chunk_bytes(table), use);
	if (r < 0)
		return r;
	r = fill_chunk(arena, table, chunk);
	if (r < 0) {
		budget_give(arena->budget, chunk_bytes(table));
		return r;
	}
	chunk_note_grown(t, chunk);
	chunk_set_open(t, chunk);
	t->first_absent = chunk + 1;
	*ret_chunk = chunk;
	return 0;
}

uint32_t chunk_choose_leaver(struct table *t, uint32_t chunk)
{
	uint32_t leaver = chunk;

	if (t->spare == CHUNK_NONE) {
		t->spare = chunk;
		return CHUNK_NONE;
	}
	if (t->spare > chunk) {
		leaver = t->spare;
		t->spare = chunk;
	}
	chunk_clear_open(t, leaver);
	return leaver;
}

/* The lock is not held over the punch: nobody opens a chunk that leaves. */
void chunk_leave(struct arena *arena, enum arena_table table, uint32_t chunk)
{
	struct table *t = &arena->table[table];
	uint64_t bytes = chunk_bytes(table);
	uint64_t offset = arena->table_offset[table] + chunk * bytes;
	bool gone = arena_punch(arena->meta_fd, offset, bytes);

	lock_take(&t->lock);
	if (gone) {
		group_of(t, chunk)->grown &= ~bit_of(chunk);
		if (chunk < t->first_absent)
			t->first_absent = chunk;
		budget_give(arena->budget, bytes);
	} else {
		/* Charged and empty, as any other open chunk. */
		chunk_set_open(t, chunk);
	}
	lock_drop(&t->lock);
}
