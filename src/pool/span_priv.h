/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the span backend share: the pool, its shards, and who may
 * change what.
 *
 * Truth is in the arena: a word for each span (class + 1, 0: no span) and each
 * object's header. All of the below is derived. A span belongs to one shard,
 * whose lock covers its struct span; or it is on its way out (SHARD_NONE) and
 * belongs to the thread that took it off; or it is free, and LOCK_SPANS covers
 * its bit. LOCK_SPANS is taken inside a shard's lock, never the other way, and
 * no two shards are ever locked together. Memory is punched with no lock held:
 * the span is in no list meanwhile, so nobody allocates in it.
 */
#ifndef SRC_POOL_SPAN_PRIV_H
#define SRC_POOL_SPAN_PRIV_H

#include "arena/arena.h"
#include "base/lock.h"
#include "base/sparse.h"
#include "pool/handle.h"
#include "pool/slots.h"

#define SHARDS_MAX 8u
/* Another shard comes into use with each so much memory: a shard's half-used
 * pages, one a class, stay below 1 % of it. */
#define SHARD_HELD_BYTES (UINT64_C(64) << 20)
/* An empty span a shard may keep, for the next object of its class. */
#define KEPT_PAGES_MAX 16u
/* Classes larger than needed that an object may go into when RAM is short, or
 * when more than a part in LOOSE_SHARE of what a shard holds is free slots. */
#define NEAR_CLASSES 8u
#define LOOSE_SHARE 32u

/* What the kernel keeps for a span with any page: a node of the memfd's tree
 * and an eighth of a page of page table, however few its pages are. */
#define SPAN_KERNEL_BYTES (576u + 512u)

enum shard_group {
	GROUP_READY_NR = 8, /* 0 to 7: eighths used, with free ready slots */
	GROUP_COLD = 8,     /* free slots, but each needs another page */
	GROUP_NR,
	GROUP_NONE = GROUP_NR, /* in no list: full, busy or a victim */
};

struct shard {
	struct lock lock;
	/* First span of each list; which lists of a class are not empty;
	 * which classes have a list 0 to 7 that is not empty. */
	uint32_t heads[CLASS_NR][GROUP_NR];
	uint16_t groups[CLASS_NR];
	uint64_t ready_classes[CLASS_NR / 64];
	uint32_t kept;           /* the empty span it keeps, or SPAN_NONE */
	uint64_t freed_bytes;    /* slots given back since the last reclaim */
	struct pool_stats stats; /* held_bytes is counted in held_pages */
	_Atomic uint64_t held_pages; /* written under the lock */
} CACHE_ALIGNED;

static_assert(CLASS_NR % 64 == 0, "whole words of classes");

struct span_pool {
	struct pool pool;
	struct arena *arena;
	struct budget *budget;
	char *memory;            /* arena_pool() */
	_Atomic uint32_t *words; /* arena_span_words() */
	uint64_t pool_bytes;     /* of it, what handles can name */
	uint32_t spans_nr;       /* spans in pool_bytes */
	unsigned shards_nr;
	bool shards_fixed;       /* a test said how many */
	_Atomic unsigned active; /* shards that allocate now */
	_Atomic uint32_t end;    /* one past the highest span ever used */
	struct lock spans_lock;
	struct sparse records;  /* struct span, one for each span below end */
	struct sparse in_use;   /* a bit a span, LOCK_SPANS */
	uint32_t lowest_unused; /* no span below it is free, LOCK_SPANS */
	struct shard *shards;
	uint64_t scan_bytes; /* charged between scan_begin and scan_end */
};

static_assert(sizeof(struct span) <= 288, "0.11 % of a span");

/* A slot that was taken: where it starts in the pool. */
struct taken {
	uint64_t offset_bytes;
};

static inline struct span *span_at(const struct span_pool *sp, uint32_t ix)
{
	return (struct span *)(void *)sp->records.base + ix;
}

static inline uint32_t span_end(const struct span_pool *sp)
{
	/* Pairs with the release in space_get(): records below are ready. */
	return atomic_load_explicit(&sp->end, memory_order_acquire);
}

static inline unsigned span_shard(const struct span *span)
{
	return atomic_load_explicit(&span->shard, memory_order_relaxed);
}

static inline _Atomic uint64_t *header_at(const struct span_pool *sp,
					  uint64_t offset_bytes)
{
	return (_Atomic uint64_t *)(void *)(sp->memory + offset_bytes);
}

/* As span_pool_new() with a number of shards, for tests; 0: chosen. */
int span_pool_new_sharded(struct arena *arena, unsigned shards,
			  struct pool **ret_pool) MUST_CHECK;

/* --- place.c: from a handle to a slot, for any value --- */
struct place {
	uint64_t offset_bytes;
	uint32_t span, slot, slot_bytes;
};
int place_of(const struct span_pool *sp, struct handle h,
	     struct place *ret_place) MUST_CHECK;

/* --- space.c: spans that belong to no shard --- */

/* The lowest free span becomes @class's, owned by @shard. -ENOSPC. Caller
 * holds that shard's lock. */
int space_get(struct span_pool *sp, unsigned class, unsigned shard,
	      uint32_t *ret_ix) MUST_CHECK;
/* Spans that were taken off their shards: their memory goes back. No lock. */
void space_put(struct span_pool *sp, const uint32_t *ixs, unsigned n);
/* Punch @pages of span @ix, and give the budget back. No lock held. */
void space_drop_pages(struct span_pool *sp, uint32_t ix, uint64_t pages);
void space_punch(struct span_pool *sp, uint32_t ix, uint64_t pages);
/* Rebuild only: @ix is in use; the scan has ended. */
void space_set_in_use(struct span_pool *sp, uint32_t ix);
bool space_is_in_use(const struct span_pool *sp, uint32_t ix);
void space_scan_done(struct span_pool *sp);

/* --- shard.c: the lists of one shard; its lock is held --- */
void shard_init(struct shard *sh);
void shard_fini(struct shard *sh);
/* Everything free: as after shard_init(). */
void shard_reset(struct shard *sh);
/* Put @ix into the list that its counts say. */
void shard_relist(struct span_pool *sp, struct shard *sh, uint32_t ix)
	REQUIRES(&sh->lock);
void shard_unlist(struct span_pool *sp, struct shard *sh, uint32_t ix)
	REQUIRES(&sh->lock);
/* A slot for @n_bytes, by preference on memory that is paid for. -ENOSPC. */
int shard_take(struct span_pool *sp, struct shard *sh, uint32_t n_bytes,
	       struct taken *ret) MUST_CHECK REQUIRES(&sh->lock);
/* The same from classes [first, end), from spans it has. */
bool shard_take_ready(struct span_pool *sp, struct shard *sh, unsigned first,
		      unsigned end, uint32_t n_bytes, struct taken *ret)
	REQUIRES(&sh->lock);
bool shard_take_cold(struct span_pool *sp, struct shard *sh, unsigned first,
		     unsigned end, uint32_t n_bytes, struct taken *ret)
	REQUIRES(&sh->lock);

/* What the caller must do for a span once the lock is dropped. */
enum shard_after { AFTER_NOTHING, AFTER_PUT, AFTER_TRIM };
enum shard_after shard_give(struct span_pool *sp, struct shard *sh, uint32_t ix,
			    unsigned slot, uint32_t n_bytes) MUST_CHECK
	REQUIRES(&sh->lock);
/* Take an empty span off the shard: the caller must space_put() it. */
void shard_take_off(struct span_pool *sp, struct shard *sh, uint32_t ix)
	REQUIRES(&sh->lock);

/* --- reclaim.c: whole free pages go back --- */

/* Pages of @ix without a used slot leave its ready mask; if there are any the
 * span is busy until trim_finish(). */
uint64_t trim_start(struct span_pool *sp, struct shard *sh,
		    uint32_t ix) MUST_CHECK REQUIRES(&sh->lock);
void trim_finish(struct span_pool *sp, struct shard *sh, uint32_t ix,
		 uint64_t pages) EXCLUDES(&sh->lock);
/* trim_start() and trim_finish() for all spans; bytes given back. */
uint64_t reclaim_all(struct span_pool *sp);
/* Kept empty spans, and if @min_freed_bytes were freed since, all trims. */
uint64_t reclaim(struct span_pool *sp, uint64_t min_freed_bytes);

/* --- rebuild.c, compact.c, check.c --- */
void rebuild_begin(struct pool *pool);
int rebuild_mark(struct pool *pool, struct handle h);
void rebuild_end(struct pool *pool);
bool compact_should_move(struct pool *pool, struct handle h);
unsigned compact_begin(struct pool *pool, unsigned max_spans);
void compact_end(struct pool *pool);
int span_check(struct pool *pool);
uint64_t span_fingerprint(struct pool *pool);

#endif
