/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An arena with a span pool on it, and objects with bytes that can be told. */
#include "pool_rig.h"
#include "arena/arena.h"
#include "base/check.h"
#include "pool/span_priv.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void pool_rig_up(struct pool_rig *rig, uint64_t pool_bytes,
		 uint64_t limit_bytes, unsigned shards)
{
	int r;

	memset(rig, 0, sizeof(*rig));
	rig->shards = shards;
	budget_init(&rig->budget, limit_bytes);
	r = arena_new(pool_bytes, &rig->budget, &rig->arena);
	invariant(r == 0);
	r = span_pool_new_sharded(rig->arena, shards, &rig->pool);
	invariant(r == 0);
}

void pool_rig_down(struct pool_rig *rig)
{
	pool_free_all(rig->pool);
	arena_free(rig->arena);
	/* Whatever was taken was given back. */
	invariant(budget_used(&rig->budget) == 0);
}

void pool_rig_reattach(struct pool_rig *rig)
{
	int meta_fd = dup(arena_meta_fd(rig->arena));
	int pool_fd = dup(arena_pool_fd(rig->arena));
	uint64_t limit_bytes = budget_limit(&rig->budget);
	int r;

	pool_rig_down(rig);
	budget_init(&rig->budget, limit_bytes);
	r = arena_attach(meta_fd, pool_fd, &rig->budget, &rig->arena);
	invariant(r == 0);
	for (unsigned i = 0; i < TABLE_NR; i++)
		table_scan_end(rig->arena, i);
	close(meta_fd);
	close(pool_fd);
	r = span_pool_new_sharded(rig->arena, rig->shards, &rig->pool);
	invariant(r == 0);
}

uint64_t pool_rig_charged(const struct pool_rig *rig)
{
	struct stat st;
	int r = fstat(arena_pool_fd(rig->arena), &st);

	invariant(r == 0);
	return (uint64_t)st.st_blocks * 512;
}

/* splitmix64: any seed will do. */
uint64_t pool_random(struct pool_random *r)
{
	uint64_t x = r->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint32_t pool_random_below(struct pool_random *r, uint32_t n)
{
	return (uint32_t)((pool_random(r) >> 32) * n >> 32);
}

uint32_t pool_random_length(struct pool_random *r)
{
	uint32_t kind = pool_random_below(r, 100);

	if (kind < 6)
		return 16 + pool_random_below(r, 300);
	if (kind < 10)
		return POOL_OBJECT_MAX;
	if (kind < 20)
		return 2400 + pool_random_below(r, 1500);
	return 600 + pool_random_below(r, 900) + pool_random_below(r, 900);
}

static void fill(uint32_t seed, uint8_t *bytes, uint32_t n_bytes)
{
	struct pool_random r = {seed};

	for (uint32_t i = 0; i < n_bytes; i += 8) {
		uint64_t x = pool_random(&r);
		uint32_t left = n_bytes - i;

		memcpy(bytes + i, &x, left < 8 ? left : 8);
	}
}

void pool_object_write(struct pool *pool, const struct pool_object *object)
{
	uint8_t bytes[POOL_OBJECT_MAX];

	fill(object->seed, bytes, object->n_bytes);
	pool_write(pool, object->handle, (uint16_t)object->seed, bytes,
		   object->n_bytes);
}

int pool_object_make(struct pool *pool, unsigned shard, uint32_t n_bytes,
		     uint32_t seed, struct pool_object *ret)
{
	struct pool_object object = {.n_bytes = n_bytes, .seed = seed};
	int r = pool_alloc(pool, shard, &n_bytes, 1, &object.handle);

	if (r < 0)
		return r;
	pool_object_write(pool, &object);
	*ret = object;
	return 0;
}

bool pool_object_is_intact(struct pool *pool, const struct pool_object *object)
{
	uint8_t scratch[POOL_OBJECT_MAX];
	uint8_t bytes[POOL_OBJECT_MAX];
	struct pool_view view;
	bool same;

	if (pool_read_begin(pool, object->handle, scratch, &view) < 0)
		return false;
	fill(object->seed, bytes, object->n_bytes);
	same = view.bytes[0] + view.bytes[1] == object->n_bytes &&
	       view.tag == (uint16_t)object->seed &&
	       !memcmp(view.piece[0], bytes, view.bytes[0]) &&
	       (view.bytes[1] == 0 ||
		!memcmp(view.piece[1], bytes + view.bytes[0], view.bytes[1]));
	pool_read_end(pool, object->handle, &view);
	return same;
}

struct pool_stats pool_rig_stats(const struct pool_rig *rig)
{
	struct pool_stats stats;

	pool_stats(rig->pool, &stats);
	return stats;
}

unsigned pool_rig_make(struct pool_rig *rig, struct pool_object *objects,
		       unsigned from, unsigned end, unsigned shard,
		       uint32_t n_bytes)
{
	struct pool_random random = {from + 1};

	for (unsigned i = from; i < end; i++) {
		uint32_t n = n_bytes ? n_bytes : pool_random_length(&random);

		if (pool_object_make(rig->pool, shard, n, i, &objects[i]) < 0)
			return i - from;
	}
	return end - from;
}

void pool_rig_free(struct pool_rig *rig, const struct pool_object *objects,
		   unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++)
		pool_free(rig->pool, &objects[i].handle, 1);
}

unsigned pool_rig_broken(struct pool_rig *rig,
			 const struct pool_object *objects, unsigned from,
			 unsigned end)
{
	unsigned n = 0;

	for (unsigned i = from; i < end; i++)
		n += !pool_object_is_intact(rig->pool, &objects[i]);
	return n;
}
