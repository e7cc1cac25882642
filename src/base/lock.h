/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks that know their class: rank order is checked in debug builds and
 * contention is counted per class.
 *
 * A thread takes locks only in rising rank; locks of one class are taken
 * together only where the class says so (two pages of one request never are:
 * stripes are taken one at a time). Locks live in private memory, never in
 * the arena: a dead owner must leave no locked lock.
 */
#ifndef SRC_BASE_LOCK_H
#define SRC_BASE_LOCK_H

#include "base/compiler.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* In rank order, outermost first. One line each: what it protects. */
enum lock_class {
	LOCK_SESSION,      /* fs: start and end of the session */
	LOCK_CREW_REQUEST, /* crew: one change of the crew at a time */
	LOCK_CREW_STATE,   /* crew: the slots' states */
	LOCK_SWEEP,        /* fs: one sweep to the backing file at a time */
	LOCK_SPILL,        /* fs: the backing file comes, goes or is asked */
	LOCK_TASK,         /* base: a background task's state */
	LOCK_STREAM,       /* codec: one stream; may be held over a codec */
	LOCK_TREE,         /* tree: every name, link count and attribute list */
	LOCK_FILE,         /* store: shape of one file's map (rwlock) */
	LOCK_PAGES,        /* store: entries of 64 neighbouring pages */
	LOCK_PINS,         /* store: waiting for what one slot decodes */
	LOCK_SETS,         /* codec: the parameter sets */
	LOCK_POOL,         /* pool: one shard's spans */
	LOCK_SPANS,        /* pool: spans that belong to no shard */
	LOCK_BACKING,      /* backing: segments and what is in flight */
	LOCK_TABLE,        /* arena: one table's free records */
	LOCK_LEAF,         /* anything that calls nothing while held */
	LOCK_LOG,          /* base: the log's rate limits */
	LOCK_NR
};

struct CAPABILITY("mutex") lock {
	pthread_mutex_t mutex;
	enum lock_class class;
};

struct CAPABILITY("rwlock") rwlock {
	pthread_rwlock_t rw;
	enum lock_class class;
};

#if DEBUG_INVARIANTS
/* The calling thread's held locks: rank is checked before it may block. */
void lock_check_rank(enum lock_class class);
void lock_note_taken(const void *l, enum lock_class class);
void lock_note_dropped(const void *l);
#else
static inline void lock_check_rank(enum lock_class class UNUSED)
{
}
static inline void lock_note_taken(const void *l UNUSED,
				   enum lock_class class UNUSED)
{
}
static inline void lock_note_dropped(const void *l UNUSED)
{
}
#endif

void lock_init(struct lock *l, enum lock_class class);
void lock_fini(struct lock *l);

/* The way of a taker that found the lock busy: count, then wait. */
void lock_wait_busy(struct lock *l);

/* Inline because it is on the path of every page. */
static inline void lock_take(struct lock *l) ACQUIRES(l) NO_LOCK_ANALYSIS
{
	lock_check_rank(l->class);
	if (unlikely(pthread_mutex_trylock(&l->mutex) != 0))
		lock_wait_busy(l);
	lock_note_taken(l, l->class);
}

/* Never waits, so the rank order does not bind it. */
static inline bool lock_try(struct lock *l)
	TRY_ACQUIRES(true, l) NO_LOCK_ANALYSIS
{
	if (pthread_mutex_trylock(&l->mutex) != 0)
		return false;
	lock_note_taken(l, l->class);
	return true;
}

static inline void lock_drop(struct lock *l) RELEASES(l) NO_LOCK_ANALYSIS
{
	lock_note_dropped(l);
	pthread_mutex_unlock(&l->mutex);
}

/* Invariant: the calling thread holds @l (checked in debug builds). */
void lock_assert_held(const struct lock *l) ASSERTS_HELD(l);

/* Writers are preferred; a reader must not take the same lock again. */
void rwlock_init(struct rwlock *l, enum lock_class class);
void rwlock_fini(struct rwlock *l);
void rwlock_read_busy(struct rwlock *l);
void rwlock_write_busy(struct rwlock *l);

static inline void rwlock_read(struct rwlock *l)
	ACQUIRES_SHARED(l) NO_LOCK_ANALYSIS
{
	lock_check_rank(l->class);
	if (unlikely(pthread_rwlock_tryrdlock(&l->rw) != 0))
		rwlock_read_busy(l);
	lock_note_taken(l, l->class);
}

static inline void rwlock_read_end(struct rwlock *l)
	RELEASES_SHARED(l) NO_LOCK_ANALYSIS
{
	lock_note_dropped(l);
	pthread_rwlock_unlock(&l->rw);
}

static inline void rwlock_write(struct rwlock *l) ACQUIRES(l) NO_LOCK_ANALYSIS
{
	lock_check_rank(l->class);
	if (unlikely(pthread_rwlock_trywrlock(&l->rw) != 0))
		rwlock_write_busy(l);
	lock_note_taken(l, l->class);
}

static inline void rwlock_write_end(struct rwlock *l)
	RELEASES(l) NO_LOCK_ANALYSIS
{
	lock_note_dropped(l);
	pthread_rwlock_unlock(&l->rw);
}

/* A condition that goes with a struct lock; the clock is CLOCK_MONOTONIC. */
struct cond {
	pthread_cond_t cond;
};
void cond_init(struct cond *c);
void cond_fini(struct cond *c);
/* May wake without cause, as POSIX has it: call it in a loop. */
void cond_wait(struct cond *c, struct lock *l) REQUIRES(l);
/* False when @deadline_ns (clock_ns() time) passed first. */
bool cond_wait_until(struct cond *c, struct lock *l, uint64_t deadline_ns)
	REQUIRES(l);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/* How often a class's locks were taken and how often the taker had to wait. */
struct lock_counts {
	uint64_t taken;     /* 0 unless built with debug_invariants */
	uint64_t contended; /* always counted */
};
struct lock_counts lock_counts(enum lock_class class);
const char *lock_class_name(enum lock_class class);

#endif
