/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names: their records, and the hash that finds one by directory and name.
 *
 * Linear hashing over chains: an insert splits at most one bucket and a
 * removal joins at most two pairs, so there is never a long stop and never a second table.
 * Growing is a wish: without memory for another bucket chains get longer.
 * The hash is seeded anew in every life, for names are chosen by users.
 */
#include "tree/inside.h"
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BUCKETS_MIN 1024u
#define BUCKETS_MAX (1u << 27)

int names_init(struct names *n, struct arena *arena)
{
	struct budget *budget = arena_budget(arena);
	uint32_t most_short = table_capacity(arena, TABLE_NAMES);
	uint32_t most_long = table_capacity(arena, TABLE_LONGNAMES);
	int r = column_init(&n->state[0], sizeof(struct name_state), most_short,
			    budget);

	if (r == 0)
		r = column_init(&n->state[1], sizeof(struct name_state),
				most_long, budget);
	if (r == 0)
		r = sparse_init(&n->buckets, BUCKETS_MAX * sizeof(uint32_t),
				budget);
	if (r == 0)
		r = sparse_grow(&n->buckets, BUCKETS_MIN * sizeof(uint32_t),
				BUDGET_FORCED);
	if (r < 0)
		return r;
	n->use = BUDGET_NORMAL;
	n->nr_buckets = BUCKETS_MIN;
	if (getrandom(&n->seed, sizeof(n->seed), GRND_NONBLOCK) < 0)
		n->seed = (uint64_t)(uintptr_t)n;
	return 0;
}

void names_fini(struct names *n)
{
	column_fini(&n->state[0]);
	column_fini(&n->state[1]);
	sparse_fini(&n->buckets);
}

static enum arena_table table_of(uint32_t ix)
{
	return ix & NAME_IS_LONG ? TABLE_LONGNAMES : TABLE_NAMES;
}

struct name_record *name_at(const struct tree *t, uint32_t ix)
{
	return table_at(t->arena, table_of(ix), ix & ~NAME_IS_LONG);
}

struct name_state *name_state(const struct tree *t, uint32_t ix)
{
	return column_at(&t->names.state[ix >> 31], ix & ~NAME_IS_LONG);
}

static uint32_t hash_of(const struct names *n, uint32_t parent,
			const char *name, size_t len)
{
	/* Spread the directory over all bits: neighbours must not collide. */
	uint64_t seed = n->seed ^ (parent * UINT64_C(0x9e3779b97f4a7c15));

	return (uint32_t)XXH3_64bits_withSeed(name, len, seed);
}

/* Largest power of two that is not above the number of buckets. */
static uint32_t level_of(uint32_t nr_buckets)
{
	return UINT32_C(1) << (31 - __builtin_clz(nr_buckets));
}

static uint32_t bucket_of(const struct names *n, uint32_t hash)
{
	uint32_t level = level_of(n->nr_buckets);
	uint32_t b = hash & (2 * level - 1);

	return b < n->nr_buckets ? b : hash & (level - 1);
}

static uint32_t *bucket_at(const struct names *n, uint32_t b)
{
	return (uint32_t *)(void *)n->buckets.base + b;
}

uint32_t names_find(const struct tree *t, uint32_t parent, const char *name,
		    size_t len)
{
	const struct names *n = &t->names;
	uint32_t hash = hash_of(n, parent, name, len);
	uint32_t ix = *bucket_at(n, bucket_of(n, hash));

	while (ix != RECORD_NONE) {
		const struct name_state *state = name_state(t, ix);
		const struct name_record *record;

		if (state->hash == hash) {
			record = name_at(t, ix);
			if (record->parent == parent && record->length == len &&
			    memcmp(record->name, name, len) == 0)
				return ix;
		}
		ix = state->next;
	}
	return RECORD_NONE;
}

/* Deal the chain of the bucket that is split over both halves. */
static void split(struct tree *t)
{
	struct names *n = &t->names;
	uint32_t level = level_of(n->nr_buckets);
	uint32_t *low = bucket_at(n, n->nr_buckets - level);
	uint32_t *high = bucket_at(n, n->nr_buckets);
	uint32_t ix = *low;

	*low = RECORD_NONE;
	*high = RECORD_NONE;
	n->nr_buckets++;
	while (ix != RECORD_NONE) {
		struct name_state *state = name_state(t, ix);
		uint32_t next = state->next;
		uint32_t *to = state->hash & level ? high : low;

		state->next = *to;
		*to = ix;
		ix = next;
	}
}

static void join(struct tree *t)
{
	struct names *n = &t->names;
	uint32_t last = n->nr_buckets - 1;
	uint32_t *high = bucket_at(n, last);
	uint32_t *low = bucket_at(n, last - level_of(last));
	uint32_t *tail = low;

	while (*tail != RECORD_NONE)
		tail = &name_state(t, *tail)->next;
	*tail = *high;
	*high = RECORD_NONE;
	n->nr_buckets = last;
	/* A step stays ready against going up and down at its edge. */
	sparse_shrink(&n->buckets, last * sizeof(uint32_t) + SPARSE_STEP_BYTES);
}

void names_insert(struct tree *t, uint32_t ix)
{
	struct names *n = &t->names;
	const struct name_record *record = name_at(t, ix);
	struct name_state *state = name_state(t, ix);
	uint32_t *bucket;

	if (n->count >= n->nr_buckets && n->nr_buckets < BUCKETS_MAX &&
	    sparse_grow(&n->buckets, (n->nr_buckets + 1) * sizeof(uint32_t),
			n->use) == 0)
		split(t);
	state->hash = hash_of(n, record->parent, record->name, record->length);
	bucket = bucket_at(n, bucket_of(n, state->hash));
	state->next = *bucket;
	*bucket = ix;
	n->count++;
}

void names_remove(struct tree *t, uint32_t ix)
{
	struct names *n = &t->names;
	struct name_state *state = name_state(t, ix);
	uint32_t *at = bucket_at(n, bucket_of(n, state->hash));

	while (*at != ix) {
		invariant(*at != RECORD_NONE);
		at = &name_state(t, *at)->next;
	}
	*at = state->next;
	n->count--;
	/* Two for each name that goes: so an empty hash is small again. */
	for (int i = 0; i < 2; i++)
		if (n->nr_buckets > BUCKETS_MIN && n->count < n->nr_buckets / 2)
			join(t);
}

int name_check(const char *name, size_t *ret_n)
{
	size_t n = strnlen(name, TREE_NAME_MAX + 1);

	if (n > TREE_NAME_MAX)
		return -ENAMETOOLONG;
	if (n == 0 || memchr(name, '/', n))
		return -EINVAL;
	*ret_n = n;
	return 0;
}

int name_check_new(const char *name, size_t *ret_n)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EEXIST;
	return name_check(name, ret_n);
}

int name_alloc(struct tree *t, enum budget_use use, uint32_t parent,
	       const char *name, size_t n, uint32_t *ret_ix)
{
	uint32_t flag = n > NAME_SHORT_MAX ? NAME_IS_LONG : 0;
	struct name_record *record;
	uint32_t ix;
	int r = table_alloc(t->arena, table_of(flag), use, &ix);

	if (r < 0)
		return r;
	r = column_take(&t->names.state[flag != 0], ix, use);
	if (r < 0) {
		table_free(t->arena, table_of(flag), ix);
		return r == -ENOMEM ? -ENOSPC : r;
	}
	ix |= flag;
	record = name_at(t, ix);
	record->parent = parent;
	record->length = (uint8_t)n;
	memcpy(record->name, name, n);
	*ret_ix = ix;
	return 0;
}

void name_free(struct tree *t, uint32_t ix)
{
	column_give(&t->names.state[ix >> 31], ix & ~NAME_IS_LONG);
	table_free(t->arena, table_of(ix), ix & ~NAME_IS_LONG);
}
