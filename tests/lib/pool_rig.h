/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pool's tests stand on: an arena with a budget and a span pool, a
 * small random generator, and objects whose bytes follow from a seed.
 */
#ifndef TESTS_LIB_POOL_RIG_H
#define TESTS_LIB_POOL_RIG_H

#include "base/budget.h"
#include "pool/pool.h"

struct arena;

struct pool_rig {
	struct budget budget;
	struct arena *arena;
	struct pool *pool;
	unsigned shards;
};

/* @shards 0: as many as the pool thinks right. Fails the test on error. */
void pool_rig_up(struct pool_rig *rig, uint64_t pool_bytes,
		 uint64_t limit_bytes, unsigned shards);
void pool_rig_down(struct pool_rig *rig);
/* Private state and mapping go; attach to the same memfds, new pool; the
 * caller scans. The budget starts at zero. */
void pool_rig_reattach(struct pool_rig *rig);

/* Bytes the kernel charges for the pool's file. */
uint64_t pool_rig_charged(const struct pool_rig *rig);

struct pool_random {
	uint64_t state;
};
uint64_t pool_random(struct pool_random *r);
uint32_t pool_random_below(struct pool_random *r, uint32_t n);
/* A length as lz4 makes them of pages of real files: most between 600 and
 * 2400 bytes, some tiny, some raw. */
uint32_t pool_random_length(struct pool_random *r);

/* One object a test keeps: its bytes and tag follow from @seed. */
struct pool_object {
	struct handle handle;
	uint32_t n_bytes;
	uint32_t seed;
};

/* alloc + write; the return value of alloc. */
int pool_object_make(struct pool *pool, unsigned shard, uint32_t n_bytes,
		     uint32_t seed, struct pool_object *ret) MUST_CHECK;
/* Write what pool_alloc() gave a handle for. */
void pool_object_write(struct pool *pool, const struct pool_object *object);
/* True if the pool gives exactly what was written. */
bool pool_object_is_intact(struct pool *pool, const struct pool_object *object);

struct pool_stats pool_rig_stats(const struct pool_rig *rig);
/* @objects[from, end) of @n_bytes each, 0: random lengths; their seeds are
 * their indexes. Stops at the first that does not fit; how many did. */
unsigned pool_rig_make(struct pool_rig *rig, struct pool_object *objects,
		       unsigned from, unsigned end, unsigned shard,
		       uint32_t n_bytes);
void pool_rig_free(struct pool_rig *rig, const struct pool_object *objects,
		   unsigned from, unsigned end);
/* How many of @objects[from, end) are not what was written. */
unsigned pool_rig_broken(struct pool_rig *rig,
			 const struct pool_object *objects, unsigned from,
			 unsigned end);

/*
 * @threads threads make, read, replace, exchange and free objects in @pool,
 * each @rounds times, until nothing is left. A full pool is fine. Returns how
 * many objects were not what had been written.
 */
unsigned pool_storm(struct pool *pool, unsigned threads, unsigned rounds);

#endif
