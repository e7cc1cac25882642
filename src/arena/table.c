/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Record tables: taking a record, giving it back, and the rebuild by a scan.
 *
 * A record is zeroed when it is freed; absent memory reads as zeroes anyway.
 * After a crash records below `end` are of three kinds: reached by truth,
 * allocated but never published, freed but perhaps not zeroed. The owner marks
 * the first kind; table_scan_end() makes all others free and zeroed. Chunks
 * without a mark go back, and what is above `end` too: a chunk may have grown
 * just before the crash.
 */
#include "arena/inside.h"
#include <errno.h>
#include <string.h>

uint32_t table_capacity(const struct arena *arena UNUSED,
			enum arena_table table)
{
	return 1u << table_shapes[table].capacity_shift;
}

int table_init(struct arena *arena, enum arena_table table)
{
	struct table *t = &arena->table[table];
	size_t groups = chunk_nr(table) / 64 + 1;
	int r = sparse_init(&t->bits, table_capacity(arena, table) / 8,
			    arena->budget);

	t->spare = CHUNK_NONE;
	if (r < 0)
		return r;
	return sparse_init(&t->groups, groups * sizeof(struct chunk_group),
			   arena->budget);
}

int table_ready(struct arena *arena, enum arena_table table)
{
	return chunk_ready(arena, table, chunk_top(arena, table),
			   BUDGET_FORCED);
}

/* Forget every record and give back what its chunks are charged for. */
static void forget_all(struct arena *arena, enum arena_table table)
{
	struct table *t = &arena->table[table];
	size_t groups = t->groups.ready_bytes / sizeof(struct chunk_group);
	uint64_t chunks = 0;

	for (uint32_t i = 0; i < groups; i++)
		chunks += (uint64_t)__builtin_popcountll(
			group_of(t, i * 64)->grown);
	budget_give(arena->budget, chunks * chunk_bytes(table));
	memset(t->groups.base, 0, t->groups.ready_bytes);
	memset(t->bits.base, 0, t->bits.ready_bytes);
	memset(t->room, 0, sizeof(t->room));
	t->first_absent = 0;
	t->spare = CHUNK_NONE;
	atomic_store_explicit(&t->used, 0, memory_order_relaxed);
}

void table_fini(struct arena *arena, enum arena_table table)
{
	struct table *t = &arena->table[table];

	if (t->groups.base)
		forget_all(arena, table);
	sparse_fini(&t->bits);
	sparse_fini(&t->groups);
}

/* --- taking and giving back --- */

static uint32_t take_free_bit(struct table *t, enum arena_table table,
			      uint32_t chunk)
{
	uint32_t words = (1u << table_shapes[table].chunk_shift) / 64;
	uint32_t first = chunk * words;

	for (uint32_t w = first; w < first + words; w++) {
		uint64_t free = ~bit_words(t)[w];

		if (free == 0)
			continue;
		bit_words(t)[w] |= free & -free;
		return w * 64 + (uint32_t)__builtin_ctzll(free);
	}
	invariant(!"an open chunk has a free record");
	return RECORD_NONE;
}

static void add_used(struct table *t, uint64_t n)
{
	uint64_t used = atomic_load_explicit(&t->used, memory_order_relaxed);

	atomic_store_explicit(&t->used, used + n, memory_order_relaxed);
}

static bool is_zero(const char *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static uint32_t take_record(struct arena *arena, enum arena_table table,
			    uint32_t chunk)
{
	struct table *t = &arena->table[table];
	struct chunk_group *g = group_of(t, chunk);
	_Atomic uint32_t *end = &arena->super->end[table];
	uint32_t ix = take_free_bit(t, table, chunk);

	if (++g->used[chunk % 64] == chunk_room(table, chunk))
		chunk_clear_open(t, chunk);
	if (t->spare == chunk)
		t->spare = CHUNK_NONE;
	add_used(t, 1);
	/* Before the caller can store into the record: see `end`. */
	if (ix >= atomic_load_explicit(end, memory_order_relaxed)) {
		atomic_store_explicit(end, ix + 1, memory_order_relaxed);
		atomic_thread_fence(memory_order_release);
	}
	debug_invariant(
		is_zero(table_at(arena, table, ix), table_record_bytes(table)));
	return ix;
}

int table_alloc(struct arena *arena, enum arena_table table,
		enum budget_use use, uint32_t *ret_ix)
{
	struct table *t = &arena->table[table];
	uint32_t chunk;
	int r = 0;

	lock_take(&t->lock);
	chunk = chunk_lowest_open(t);
	if (chunk == CHUNK_NONE)
		r = chunk_grow(arena, table, use, &chunk);
	if (r == 0)
		*ret_ix = take_record(arena, table, chunk);
	lock_drop(&t->lock);
	return r;
}

void table_free(struct arena *arena, enum arena_table table, uint32_t ix)
{
	struct table *t = &arena->table[table];
	uint32_t chunk = ix >> table_shapes[table].chunk_shift;
	uint32_t leaver = CHUNK_NONE;
	struct chunk_group *g;

	invariant(ix != RECORD_NONE && ix < table_end(arena, table));
	lock_take(&t->lock);
	invariant(bit_is_set(t, ix));
	memset(table_at(arena, table, ix), 0, table_record_bytes(table));
	bit_words(t)[ix / 64] &= ~bit_of(ix);
	g = group_of(t, chunk);
	chunk_set_open(t, chunk);
	if (--g->used[chunk % 64] == 0)
		leaver = chunk_choose_leaver(t, chunk);
	add_used(t, (uint64_t)-1);
	lock_drop(&t->lock);
	if (leaver != CHUNK_NONE)
		chunk_leave(arena, table, leaver);
}

uint64_t table_used(const struct arena *arena, enum arena_table table)
{
	return atomic_load_explicit(&arena->table[table].used,
				    memory_order_relaxed);
}

uint32_t table_end(const struct arena *arena, enum arena_table table)
{
	return atomic_load_explicit(&arena->super->end[table],
				    memory_order_relaxed);
}

bool table_is_used(const struct arena *arena, enum arena_table table,
		   uint32_t ix)
{
	/* Only the lock inside is written. */
	struct table *t = (struct table *)(uintptr_t)&arena->table[table];
	bool used;

	if (ix == RECORD_NONE || ix >= table_end(arena, table))
		return false;
	lock_take(&t->lock);
	used = bit_is_set(t, ix);
	lock_drop(&t->lock);
	return used;
}

/* --- rebuild --- */

void table_scan_begin(struct arena *arena, enum arena_table table)
{
	forget_all(arena, table);
}

int table_mark(struct arena *arena, enum arena_table table, uint32_t ix)
{
	struct table *t = &arena->table[table];
	uint32_t chunk = ix >> table_shapes[table].chunk_shift;
	struct chunk_group *g;

	if (ix == RECORD_NONE || ix >= table_end(arena, table))
		return -ERANGE;
	if (bit_is_set(t, ix))
		return -EEXIST;
	g = group_of(t, chunk);
	if (g->used[chunk % 64]++ == 0) {
		chunk_note_grown(t, chunk);
		budget_force(arena->budget, chunk_bytes(table));
	}
	bit_words(t)[ix / 64] |= bit_of(ix);
	add_used(t, 1);
	return 0;
}

static void zero_unmarked(struct arena *arena, enum arena_table table,
			  uint32_t chunk)
{
	struct table *t = &arena->table[table];
	unsigned shift = table_shapes[table].chunk_shift;
	uint32_t first = chunk << shift;
	size_t record = table_record_bytes(table);
	char *at = arena->view.records[table] + first * record;

	for (uint32_t i = 0; i < 1u << shift; i++, at += record)
		if (!bit_is_set(t, first + i))
			memset(at, 0, record);
}

/*
 * Nothing in chunks [first, end) is used. Should the kernel keep the memory,
 * it must still read as zeroes; above the table's end it does anyway.
 */
static void drop_chunks(struct arena *arena, enum arena_table table,
			uint32_t first, uint32_t end)
{
	uint64_t bytes = chunk_bytes(table);
	uint64_t at = arena->table_offset[table] + first * bytes;
	uint64_t length = (end - first) * bytes;

	if (first == end || arena_punch(arena->meta_fd, at, length))
		return;
	if (first < chunk_top(arena, table))
		memset(arena->meta + at, 0, length);
}

void table_scan_end(struct arena *arena, enum arena_table table)
{
	struct table *t = &arena->table[table];
	uint32_t top = chunk_top(arena, table);
	uint32_t run = 0; /* first of the run of chunks without a mark */

	for (uint32_t chunk = 0; chunk < top; chunk++) {
		uint16_t used = group_of(t, chunk)->used[chunk % 64];

		if (used == 0)
			continue;
		drop_chunks(arena, table, run, chunk);
		run = chunk + 1;
		if (used == chunk_room(table, chunk))
			continue;
		zero_unmarked(arena, table, chunk);
		chunk_set_open(t, chunk);
	}
	drop_chunks(arena, table, run, top);
	drop_chunks(arena, table, top, chunk_nr(table));
}
