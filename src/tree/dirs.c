/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories in the order of their positions, so that a cookie of readdir
 * stays good whatever happens around it.
 *
 * A position is given once and never again; it is truth in the name record.
 * Here chunks of neighbouring positions hang in a list in rising order; an
 * entry that goes leaves a hole and an empty chunk is freed. The first chunk
 * of a directory is small (most directories are), all others large.
 *
 *	chunk->first + slot == position of the name in that slot
 *	used == slots that are no holes; the chunks' sum == dir->entries
 */
#include "tree/inside.h"

#define SMALL_SLOTS 11u
#define LARGE_SLOTS 59u
#define CHUNK_IS_SMALL (UINT32_C(1) << 31)
#define DIRS_MOST (1u << 26)

struct chunk {
	uint64_t first;
	uint32_t next;
	uint32_t prev;
	uint16_t used;
	uint16_t spare;
	uint32_t slot[];
};
#define CHUNK_HEAD offsetof(struct chunk, slot)
static_assert(CHUNK_HEAD + SMALL_SLOTS * 4 == 64, "a cache line");
static_assert(CHUNK_HEAD + LARGE_SLOTS * 4 == 256, "four cache lines");

struct dir_state {
	uint32_t head;
	uint32_t tail;
	uint32_t entries;
	_Atomic uint32_t hint; /* a chunk of the list: where readdir stopped */
};

static struct chunk *chunk_at(const struct tree *t, uint32_t ix)
{
	return slab_at(&t->chunks[ix >> 31], ix & ~CHUNK_IS_SMALL);
}

static uint32_t slots_of(uint32_t ix)
{
	return ix & CHUNK_IS_SMALL ? SMALL_SLOTS : LARGE_SLOTS;
}

static struct dir_state *state_of(const struct tree *t, uint32_t dir)
{
	uint32_t ix = inode_state(t, dir)->dir;

	return ix == SLAB_NONE ? NULL : slab_at(&t->dirs, ix);
}

int dirs_init(struct tree *t)
{
	struct budget *budget = arena_budget(t->arena);
	int r = slab_init(&t->dirs, sizeof(struct dir_state), DIRS_MOST,
			  budget);

	if (r == 0)
		r = slab_init(&t->chunks[0], 256, DIRS_MOST, budget);
	if (r == 0)
		r = slab_init(&t->chunks[1], 64, DIRS_MOST, budget);
	return r;
}

void dirs_fini(struct tree *t)
{
	slab_fini(&t->dirs);
	slab_fini(&t->chunks[0]);
	slab_fini(&t->chunks[1]);
}

uint32_t dirs_entries(const struct tree *t, uint32_t dir)
{
	const struct dir_state *d = state_of(t, dir);

	return d ? d->entries : 0;
}

static int add_chunk(struct tree *t, struct dir_state *d, uint64_t first,
		     enum budget_use use)
{
	uint32_t small = d->head == SLAB_NONE;
	struct chunk *chunk;
	uint32_t ix;
	int r = slab_alloc(&t->chunks[small], use, &ix);

	if (r < 0)
		return r == -ENOMEM ? -ENOSPC : r;
	ix |= small ? CHUNK_IS_SMALL : 0;
	chunk = chunk_at(t, ix);
	chunk->first = first;
	chunk->prev = d->tail;
	if (d->tail == SLAB_NONE)
		d->head = ix;
	else
		chunk_at(t, d->tail)->next = ix;
	d->tail = ix;
	return 0;
}

static void remove_chunk(struct tree *t, struct dir_state *d, uint32_t ix)
{
	struct chunk *chunk = chunk_at(t, ix);

	if (chunk->prev == SLAB_NONE)
		d->head = chunk->next;
	else
		chunk_at(t, chunk->prev)->next = chunk->next;
	if (chunk->next == SLAB_NONE)
		d->tail = chunk->prev;
	else
		chunk_at(t, chunk->next)->prev = chunk->prev;
	if (atomic_load_explicit(&d->hint, memory_order_relaxed) == ix)
		atomic_store_explicit(&d->hint,
				      chunk->prev ? chunk->prev : chunk->next,
				      memory_order_relaxed);
	slab_free(&t->chunks[ix >> 31], ix & ~CHUNK_IS_SMALL);
}

static int room_for(struct tree *t, uint32_t dir, uint64_t position,
		    enum budget_use use)
{
	struct dir_state *d = state_of(t, dir);
	int r;

	if (!d) {
		r = slab_alloc(&t->dirs, use, &inode_state(t, dir)->dir);
		if (r < 0)
			return r == -ENOMEM ? -ENOSPC : r;
		d = state_of(t, dir);
	}
	if (d->tail != SLAB_NONE &&
	    position - chunk_at(t, d->tail)->first < slots_of(d->tail))
		return 0;
	return add_chunk(t, d, position, use);
}

int dirs_prepare(struct tree *t, uint32_t dir, enum budget_use use)
{
	uint64_t position = atomic_load_explicit(
		&inode_at(t, dir)->next_position, memory_order_relaxed);

	return room_for(t, dir, position, use);
}

static void put_in_tail(struct tree *t, uint32_t dir, uint32_t name)
{
	struct dir_state *d = state_of(t, dir);
	struct chunk *chunk = chunk_at(t, d->tail);
	uint64_t slot = name_at(t, name)->position - chunk->first;

	debug_invariant(slot < slots_of(d->tail));
	debug_invariant(chunk->slot[slot] == RECORD_NONE);
	chunk->slot[slot] = name;
	chunk->used++;
	d->entries++;
	name_state(t, name)->chunk = d->tail;
}

void dirs_insert(struct tree *t, uint32_t dir, uint32_t name)
{
	put_in_tail(t, dir, name);
}

int dirs_append(struct tree *t, uint32_t dir, uint32_t name)
{
	int r = room_for(t, dir, name_at(t, name)->position, BUDGET_FORCED);

	if (r == 0)
		put_in_tail(t, dir, name);
	return r;
}

void dirs_remove(struct tree *t, uint32_t dir, uint32_t name)
{
	struct dir_state *d = state_of(t, dir);
	uint32_t ix = name_state(t, name)->chunk;
	struct chunk *chunk = chunk_at(t, ix);
	uint64_t slot = name_at(t, name)->position - chunk->first;

	debug_invariant(slot < slots_of(ix) && chunk->slot[slot] == name);
	chunk->slot[slot] = RECORD_NONE;
	d->entries--;
	if (--chunk->used == 0)
		remove_chunk(t, d, ix);
	if (d->entries == 0)
		dirs_release(t, dir);
}

void dirs_release(struct tree *t, uint32_t dir)
{
	struct inode_state *inode = inode_state(t, dir);
	struct dir_state *d = state_of(t, dir);

	debug_invariant(d->entries == 0);
	while (d->head != SLAB_NONE)
		remove_chunk(t, d, d->head);
	slab_free(&t->dirs, inode->dir);
	inode->dir = SLAB_NONE;
}

/*
 * The first chunk that ends behind @after. Starts at the hint: readers go on
 * where they stopped, so the way is short even in a directory of millions.
 */
static uint32_t find_chunk(const struct tree *t, const struct dir_state *d,
			   uint64_t after)
{
	uint32_t ix = atomic_load_explicit(&d->hint, memory_order_relaxed);
	const struct chunk *chunk;

	if (ix == SLAB_NONE)
		ix = d->head;
	while (ix != SLAB_NONE) {
		chunk = chunk_at(t, ix);
		if (chunk->prev == SLAB_NONE || chunk->first <= after)
			break;
		ix = chunk->prev;
	}
	while (ix != SLAB_NONE) {
		chunk = chunk_at(t, ix);
		if (chunk->first + slots_of(ix) > after + 1)
			break;
		ix = chunk->next;
	}
	return ix;
}

struct dir_cursor dirs_seek(const struct tree *t, uint32_t dir, uint64_t after)
{
	const struct dir_state *d = state_of(t, dir);
	struct dir_cursor at = {.chunk = SLAB_NONE};
	uint64_t first;

	/* Cookies come from users by way of seekdir(): any value may. */
	if (!d || after >= (uint64_t)INT64_MAX)
		return at;
	at.chunk = find_chunk(t, d, after);
	if (at.chunk == SLAB_NONE)
		return at;
	first = chunk_at(t, at.chunk)->first;
	at.slot = after < first ? 0 : (uint32_t)(after + 1 - first);
	return at;
}

uint32_t dirs_next(const struct tree *t, struct dir_cursor *at)
{
	while (at->chunk != SLAB_NONE) {
		const struct chunk *chunk = chunk_at(t, at->chunk);

		while (at->slot < slots_of(at->chunk)) {
			uint32_t name = chunk->slot[at->slot++];

			if (name != RECORD_NONE)
				return name;
		}
		at->chunk = chunk->next;
		at->slot = 0;
	}
	return RECORD_NONE;
}

void dirs_leave(const struct tree *t, uint32_t dir, struct dir_cursor at)
{
	struct dir_state *d = state_of(t, dir);

	if (d)
		atomic_store_explicit(&d->hint, at.chunk, memory_order_relaxed);
}

static bool chunk_is_sane(const struct tree *t, uint32_t dir, uint32_t ix,
			  uint32_t prev)
{
	const struct chunk *chunk = chunk_at(t, ix);
	unsigned used = 0;

	for (uint32_t i = 0; i < slots_of(ix); i++) {
		uint32_t name = chunk->slot[i];

		if (name == RECORD_NONE)
			continue;
		used++;
		if (name_at(t, name)->parent != dir ||
		    name_at(t, name)->position != chunk->first + i ||
		    name_state(t, name)->chunk != ix)
			return false;
	}
	if (chunk->prev != prev || used != chunk->used)
		return false;
	return prev == SLAB_NONE ||
	       chunk_at(t, prev)->first + slots_of(prev) <= chunk->first;
}

int dirs_check(const struct tree *t, uint32_t dir, uint64_t *ret_entries)
{
	const struct dir_state *d = state_of(t, dir);
	uint64_t next_position = atomic_load_explicit(
		&inode_at(t, dir)->next_position, memory_order_relaxed);
	uint32_t prev = SLAB_NONE;
	uint64_t entries = 0;

	for (uint32_t ix = d ? d->head : SLAB_NONE; ix != SLAB_NONE;
	     ix = chunk_at(t, ix)->next) {
		if (!chunk_is_sane(t, dir, ix, prev))
			return -EUCLEAN;
		for (uint32_t i = 0; i < slots_of(ix); i++)
			if (chunk_at(t, ix)->slot[i] != RECORD_NONE &&
			    chunk_at(t, ix)->first + i >= next_position)
				return -EUCLEAN;
		entries += chunk_at(t, ix)->used;
		prev = ix;
	}
	if (d && (d->entries != entries || d->tail != prev))
		return -EUCLEAN;
	*ret_entries = entries;
	return 0;
}
