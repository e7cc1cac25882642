/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool: objects named by handles, behind one table of operations, after
 * zsmalloc and the API it grew into (read_begin / read_end / write).
 *
 * An object is 1 to POOL_OBJECT_MAX bytes and a 16-bit tag of its owner's. A
 * handle is never a pointer; no pointer into the pool survives _end(), unless
 * the backend says STAYS, and between begin and end the caller must not block
 * unless it says SLEEP_MAPPED. An object's bytes never change after
 * pool_write(): who wants other bytes makes another object. Layer 2: knows base
 * and arena.
 */
#ifndef SRC_POOL_POOL_H
#define SRC_POOL_POOL_H

#include "base/compiler.h"
#include "base/page.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_OBJECT_MAX PAGE_BYTES
/* Most handles in one call of alloc or free. */
#define POOL_BATCH_MAX 64
/* A handle fits in this many bits, so that an entry has room for more. */
#define HANDLE_BITS 40

struct handle {
	uint64_t value; /* 0: none */
};

static inline bool handle_is_none(struct handle h)
{
	return h.value == 0;
}

enum pool_caps {
	POOL_SLEEP_MAPPED = 1, /* may block between begin and end */
	POOL_LINEAR = 2,       /* a view is one piece, straight from the pool */
	POOL_MOVABLE = 4,      /* objects may move between begin/end pairs */
	/* Linear, and a view's bytes stay there until the object is freed. */
	POOL_STAYS = 8
};

/* What an object looks like between begin and end: one or two pieces. */
struct pool_view {
	const void *piece[2];
	size_t bytes[2]; /* bytes[1] is 0 when there is one piece */
	uint16_t tag;
	void *priv;
};

struct pool_stats {
	uint64_t objects;
	uint64_t object_bytes; /* what owners asked for */
	uint64_t slot_bytes;   /* with headers and rounding */
	uint64_t held_bytes;   /* RAM charged for spans now */
	uint64_t spans;
	uint64_t moved; /* objects moved by compaction since start */
};

struct pool;

struct pool_ops {
	const char *name;
	unsigned caps; /* enum pool_caps */
	int (*alloc)(struct pool *pool, unsigned shard, const uint32_t *n_bytes,
		     unsigned n, struct handle *ret);
	void (*free)(struct pool *pool, const struct handle *h, unsigned n);
	void (*write)(struct pool *pool, struct handle h, uint16_t tag,
		      const void *src, size_t n_bytes);
	int (*read_begin)(struct pool *pool, struct handle h, void *scratch,
			  struct pool_view *ret_view);
	void (*read_end)(struct pool *pool, struct handle h,
			 struct pool_view *view);
	void (*expect)(struct pool *pool, struct handle h);
	void (*stats)(struct pool *pool, struct pool_stats *ret_stats);
	void (*scan_begin)(struct pool *pool);
	int (*mark)(struct pool *pool, struct handle h);
	void (*scan_end)(struct pool *pool);
	bool (*should_move)(struct pool *pool, struct handle h);
	unsigned (*compact_begin)(struct pool *pool, unsigned max_spans);
	void (*compact_end)(struct pool *pool);
	int (*check)(struct pool *pool);
	uint64_t (*fingerprint)(struct pool *pool); /* may be NULL */
	void (*destroy)(struct pool *pool);
};

/* Backends put this first in their own struct. */
struct pool {
	const struct pool_ops *ops;
};

/* Frees private state only: the objects stay in the arena. NULL is fine. */
static inline void pool_free_all(struct pool *pool)
{
	if (pool)
		pool->ops->destroy(pool);
}

/*
 * Handles for @n objects (1 to POOL_BATCH_MAX) of @n_bytes[i] each. All or
 * none: -ENOSPC when the budget or the arena is full. @shard: the caller's
 * slot number; slots apart rarely meet at a lock. No heap call.
 */
static inline int pool_alloc(struct pool *pool, unsigned shard,
			     const uint32_t *n_bytes, unsigned n,
			     struct handle *ret)
{
	return pool->ops->alloc(pool, shard, n_bytes, n, ret);
}

/* Give @n objects back; none may be between begin and end. Cannot fail, also
 * for one whose header was lost. Twice is an invariant. */
static inline void pool_free(struct pool *pool, const struct handle *h,
			     unsigned n)
{
	pool->ops->free(pool, h, n);
}

/* Fill a new object: exactly the @n_bytes it was allocated with. Once, before
 * the handle is published. Cannot fail; takes no lock. */
static inline void pool_write(struct pool *pool, struct handle h, uint16_t tag,
			      const void *src, size_t n_bytes)
{
	pool->ops->write(pool, h, tag, src, n_bytes);
}

/*
 * Look at an object. @scratch: POOL_OBJECT_MAX bytes the backend may use.
 * The caller's own lock must keep the object from being freed. -EIO when the
 * header does not make sense (then there is no _end).
 */
static inline int pool_read_begin(struct pool *pool, struct handle h,
				  void *scratch, struct pool_view *ret_view)
{
	return pool->ops->read_begin(pool, h, scratch, ret_view);
}

static inline void pool_read_end(struct pool *pool, struct handle h,
				 struct pool_view *view)
{
	pool->ops->read_end(pool, h, view);
}

/* A hint: @h will be looked at or freed in a microsecond or two. Any value and
 * any time will do; backends need not have it. */
static inline void pool_expect(struct pool *pool, struct handle h)
{
	if (pool->ops->expect)
		pool->ops->expect(pool, h);
}

static inline void pool_stats(struct pool *pool, struct pool_stats *ret_stats)
{
	pool->ops->stats(pool, ret_stats);
}

/*
 * Rebuild after attach, single-threaded: begin (everything free), mark every
 * handle that truth reaches, end (memory nobody marked goes back). pool_mark():
 * -EIO no such object can be there, -EEXIST marked twice.
 */
static inline void pool_scan_begin(struct pool *pool)
{
	pool->ops->scan_begin(pool);
}

static inline int pool_mark(struct pool *pool, struct handle h)
{
	return pool->ops->mark(pool, h);
}

static inline void pool_scan_end(struct pool *pool)
{
	pool->ops->scan_end(pool);
}

/*
 * Compaction: compact_begin() chooses up to @max_spans of the sparsest spans
 * and allocates nothing in them any more; gives how many (0: not worth it).
 * The owner then copies each object for which should_move() into a new one,
 * swaps its reference, frees the old; compact_end() ends the choice.
 */
static inline unsigned pool_compact_begin(struct pool *pool, unsigned max_spans)
{
	return pool->ops->compact_begin(pool, max_spans);
}

static inline bool pool_should_move(struct pool *pool, struct handle h)
{
	return pool->ops->should_move(pool, h);
}

static inline void pool_compact_end(struct pool *pool)
{
	pool->ops->compact_end(pool);
}

/* Walk all derived state: 0, or -EUCLEAN when something does not add up. Nobody
 * else may be in the pool meanwhile. */
static inline int pool_check(struct pool *pool)
{
	return pool->ops->check(pool);
}

/*
 * The sum of pool_mix() over all objects, to be held against the sum over all
 * handles that somebody has: equal sums mean the same handles, each once. Nobody
 * else may be in the pool. 0: this backend has none.
 */
static inline uint64_t pool_fingerprint(struct pool *pool)
{
	return pool->ops->fingerprint ? pool->ops->fingerprint(pool) : 0;
}

/* Murmur's last step: sums of these are equal by accident alone. */
static inline uint64_t pool_mix(struct handle h)
{
	uint64_t x = h.value;

	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

#endif
